#!/usr/bin/env bash
# Installs what is missing into .venv and serves: INSIGHTFACE_MODEL=starter ./run.sh
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
install_locked .venv requirements.lock --no-deps --editable .

rocm=${ROCM_PATH:-/opt/rocm}
if [[ -d $rocm ]]; then
  export LD_LIBRARY_PATH=$rocm/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
exec .venv/bin/python -m face_service.main "$@"
