#!/usr/bin/env bash
# Installs what is missing into .venv and serves: INSIGHTFACE_MODEL=open ./run.sh
# EXTRA=cpu, cuda, openvino or rocm installs that build of ONNX Runtime; without it, the one that
# is in .venv stays, and an empty .venv gets the CPU's.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh

lock=requirements-${EXTRA:-}.lock
case ${EXTRA:-} in
  "" | cpu) lock=requirements.lock ;;
  cuda) provider=CUDAExecutionProvider ;;
  openvino) provider=OpenVINOExecutionProvider ;;
  rocm) provider=MIGraphXExecutionProvider ;;
  *)
    echo "EXTRA=$EXTRA is not allowed: cpu, cuda, openvino or rocm" >&2
    exit 1
    ;;
esac
if [[ -n ${EXTRA:-} ]]; then only_the_build_of .venv "$lock"; fi
install_locked .venv "$lock" --no-deps --editable .
install_heif .venv

# Who asks for a build wants what it computes on; a list of their own, also in .env, wins.
if [[ -n ${provider:-} && ! (-f .env && $'\n'$(<.env) == *$'\n'ONNX_PROVIDERS=*) ]]; then
  export ONNX_PROVIDERS=${ONNX_PROVIDERS:-$provider}
fi
rocm=${ROCM_PATH:-/opt/rocm}
if [[ -d $rocm ]]; then
  export LD_LIBRARY_PATH=$rocm/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
exec .venv/bin/python -m face_service.main "$@"
