#!/usr/bin/env bash
# Ray for the tests of `face-service embed --ray` and of examples/ray_serve, in an environment of its own (.ray,
# 900 MB). Not needed to serve.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
install_locked .ray requirements-ray-serve.lock --no-deps --editable .
# Ray gives the processes it starts 15 seconds, which compiling its modules can take on a busy machine.
[[ -e .ray/.compiled && .ray/.compiled -nt requirements-ray-serve.lock ]] || {
  .ray/bin/python -m compileall -q .ray/lib/python*/site-packages/ray/{_private,dashboard} || true
  .ray/bin/python -c "import ray.cluster_utils, ray.data, ray.serve"
  touch .ray/.compiled
}
