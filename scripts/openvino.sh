#!/usr/bin/env bash
# OpenVINO for the tests of PRECISION: the service's packages, with onnxruntime-openvino in place of
# onnxruntime, in an environment of their own (.openvino). Not needed to serve in fp32.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
install_locked .openvino requirements-openvino.lock
