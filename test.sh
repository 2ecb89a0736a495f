#!/usr/bin/env bash
# Everything that must hold: ./test.sh. Some tests only: ./test.sh tests/vision -k nms
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
# Where it is set, each of a thousand processes compiles all that it imports.
unset PYTHONDONTWRITEBYTECODE
install_locked .venv requirements-dev.lock --no-deps --editable . --editable clients/python
export PATH=$PWD/.venv/bin:$PATH

# What takes long the first time, or waits for a package registry, runs beside all that follows; what it says comes after
# the tests.
begin() {
  local name=${1##*/}
  "$@" &>"$outputs/$name" &
  echo $! >"$outputs/$name.pid"
}
finish() {
  local status=0
  wait "$(<"$outputs/$1.pid")" || status=$?
  cat "$outputs/$1"
  return "$status"
}
if (($# == 0)); then
  outputs=$(mktemp -d)
  trap 'rm -rf "$outputs"' EXIT
  begin mypy
  begin lint-imports
  begin scripts/audit.sh
  # Else four processes would compile the same files the first time, at the same time.
  [[ -d .oracle ]] || begin pytest --collect-only --quiet
fi

# What the tests compare with and need, each in an environment of its own.
declare -A installing missing=(
  [arm64]="ARM64 for QEMU" [openvino]="OpenVINO" [ray]="Ray" [deployment]="HAProxy and helm"
)
for name in oracle "${!missing[@]}"; do
  "scripts/$name.sh" &
  installing[$name]=$!
done
wait "${installing[oracle]}"
for name in "${!missing[@]}"; do
  wait "${installing[$name]}" || echo "${missing[$name]} could not be installed: its tests skip." >&2
done

if (($#)); then exec pytest "$@"; fi

failed=()
check() {
  echo "== $*"
  "$@" || failed+=("$*")
}
check ruff check
check ruff format --check
check shellcheck --external-sources platform.sh run.sh test.sh .ci/run scripts/*.sh benchmarks/*.sh findings/*.sh
check hadolint Dockerfile Dockerfile.* platform/Dockerfile

# Four processes for two cores, for tests wait as well. A file is run by one of them, in order, and the longest files
# first, as tests/order.py sorts them. A test that ends its process ends the run: pytest-xdist would wait for good for
# the file's other tests.
check pytest -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
for name in mypy lint-imports audit.sh; do check finish "$name"; done

if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
