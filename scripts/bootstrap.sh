# shellcheck shell=bash
# Sourced from the repository's root by run.sh, test.sh and scripts/*.sh: from a bare Python to an
# environment that holds exactly what a lock file pins.

# uv brings certificates of its own; behind a company's proxy only the machine's are right. pip and
# curl use those.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
# Before any import of ONNX Runtime, insightface's and the tools' too: nothing leaves the machine, nothing is
# written to the home (SECURITY.md).
export ORT_DISABLE_TELEMETRY=1

# find_python: sets $python, a Python 3.11 or newer. $PYTHON decides where it is set; else an
# environment that stands keeps the Python it has.
find_python() {
  local candidates=(.venv/bin/python python3 python3.13 python3.12 python3.11)
  if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
  for python in "${candidates[@]}"; do
    python=$(command -v "$python") || continue
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
  done
  echo "Python 3.11 or newer is needed and none was found (tried: ${candidates[*]})." \
    "Install one, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# find_uv: sets $uv, fetched into .tools where the machine has none.
find_uv() {
  for uv in uv "${HOME:-}/.local/bin/uv" .tools/bin/uv; do
    uv=$(command -v "$uv") && return
  done
  echo "Fetching uv into .tools" >&2
  uv=.tools/bin/uv
  # pip asks rustc for its version, to name it to the index; that of rustup writes to the home.
  local -x RUSTUP_HOME=$PWD/.tools/rustup
  # Debian's python3 has no ensurepip, hence no working venv; its pip may be missing as well.
  { "$python" -m venv .tools && .tools/bin/python -m pip install uv; } &>/dev/null ||
    { rm -rf .tools && "$python" -m pip install --target .tools uv; } &>/dev/null ||
    curl -LsSf https://astral.sh/uv/install.sh |
    UV_INSTALL_DIR=$PWD/.tools/bin UV_NO_MODIFY_PATH=1 sh && return
  echo "uv could not be fetched. Install it (https://docs.astral.sh/uv) and start again." >&2
  return 1
}

# install_locked DIR LOCK [ARGUMENT...]: DIR holds what LOCK pins, then what
# `uv pip install ARGUMENT...` adds. Returns at once when it already does.
install_locked() {
  local dir=$1 lock=$2 stamp=$1/.installed-${2%.lock} version wanted
  shift 2
  find_python
  version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
  # The folder is part of it: an environment that was moved still points to where it was.
  wanted=$(echo "$version $PWD $*" && cat "$lock" pyproject.toml)
  [[ -x $dir/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]] && return

  find_uv
  if [[ ! -x $dir/bin/python || ! -d $dir/lib/python$version ]]; then
    rm -rf "$dir"
    "$uv" venv --quiet --python "$python" "$dir"
  fi
  echo "Installing $lock into $dir (Python $version)" >&2
  # A lock has everything: nothing is resolved, whatever [tool.uv] says of a package.
  "$uv" pip install --python "$dir/bin/python" --no-deps --require-hashes -r <(pins_for "$dir" "$lock")
  if (($#)); then "$uv" pip install --quiet --python "$dir/bin/python" "$@"; fi
  echo "$wanted" >"$stamp"
}

# install_heif DIR: adds what reads HEIC, where there are wheels of it for this machine; else says so.
install_heif() {
  local dir=$1 lock=requirements-heif.lock stamp=$1/.heif-installed
  [[ -f $stamp && $(<"$stamp") == "$(<"$lock")" ]] && return
  find_python
  find_uv
  if "$uv" pip install --python "$dir/bin/python" --only-binary :all: --no-deps --require-hashes -r "$lock"; then
    echo "$(<"$lock")" >"$stamp"
  else
    echo "HEIC pictures will be refused: $lock could not be installed (no wheels for this machine, or no package" \
      "registry). Everything else is read." >&2
  fi
}

# pins_for DIR LOCK: LOCK, without onnxruntime where DIR holds another build of it. All of them are
# the module `onnxruntime`: who put onnxruntime-gpu, -migraphx or -rocm in its place keeps it. A lock
# that names a build of its own is taken whole.
pins_for() {
  if compgen -G "$1/lib/python*/site-packages/onnxruntime_*.dist-info" >/dev/null &&
    [[ $(<"$2") != *$'\n'onnxruntime-* ]]; then
    awk '/^[a-z]/ { skip = /^onnxruntime==/ } !skip' "$2"
  else
    cat "$2"
  fi
}

# only_the_build_of DIR LOCK: takes every ONNX Runtime out of DIR if one of them is not pinned by
# LOCK, for install_locked to put the right one in. Removing just the wrong one would not do: they
# share their files.
only_the_build_of() {
  local dir=$1 lock=$2 info name held=() wrong=
  for info in "$dir"/lib/python*/site-packages/onnxruntime{,_*}-[0-9]*.dist-info; do
    [[ -d $info ]] || continue
    name=${info##*/} name=${name%.dist-info} name=${name//_/-}
    held+=("${name%%-[0-9]*}")
    # onnxruntime-gpu-1.26.0 is onnxruntime-gpu==1.26.0 in a lock.
    [[ $(<"$lock") == *$'\n'"${name%%-[0-9]*}==${name##*-} "* ]] || wrong=$name
  done
  [[ -n $wrong ]] || return 0
  find_python
  find_uv
  echo "Replacing $wrong by what $lock pins" >&2
  "$uv" pip uninstall --quiet --python "$dir/bin/python" "${held[@]}"
  rm -f "$dir"/.installed-*
}
