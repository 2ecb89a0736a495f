#!/usr/bin/env bash
# Every table and plot of docs/performance-measured.md and docs/quality-measured.md, in order: benchmarks/run_all.sh
# It takes the better part of an hour on two cores; the last line says how long it took. Some only, by the names below:
# benchmarks/run_all.sh limit arrivals. What was printed lies in benchmarks/results/CLASS, CLASS being the processor's.
# Needs ./test.sh to have run once (.venv, .oracle, the stand-in pack), scripts/openvino.sh for the
# tables of OpenVINO, and a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
runner=${BENCH_PYTHON:-.venv/bin/python}
export PYTHONPATH=src:.

wanted=" $* "
commit=$(git rev-parse --short HEAD)
# step NAME MODULE [ARGUMENT...]: what the module prints goes to the screen and to NAME.md.
step() {
  local name=$1
  shift
  [[ $wanted == "  " || $wanted == *" $name "* ]] || return 0
  printf '\n## python -m %s\n\n' "$*"
  "$runner" -m "$@" | sed "1s/\.\$/, commit $commit./" | tee "$results/$name.md"
}
results=$("$runner" -c 'from benchmarks import kept; print(kept.HERE)')
mkdir -p "$results"
started=$SECONDS
step compare-standin benchmarks.compare --seconds 2
step compare-starter benchmarks.compare --pack starter --rounds 3 --seconds 2 --faces 0 1 6 --clients 1 4 --starts 0
if [[ -x .openvino/bin/python ]]; then
  openvino=(--python .openvino/bin/python --set ONNX_PROVIDERS=OpenVINOExecutionProvider
    --faces 0 1 6 --clients 1 4 --seconds 2)
  step compare-openvino benchmarks.compare "${openvino[@]}" --name compare-openvino
  step compare-bf16 benchmarks.compare "${openvino[@]}" --set PRECISION=bf16 --name compare-bf16
else
  echo "No .openvino (scripts/openvino.sh makes it): its tables stay as they are." >&2
fi
step concurrency benchmarks.concurrency
step limit benchmarks.limit
step arrivals benchmarks.arrivals --seconds 6
step mixed benchmarks.mixed
step canvas_agreement benchmarks.studies.canvas_agreement --frames 500
step closeup benchmarks.studies.closeup --photos 60
step quality benchmarks.studies.quality
step frame_faults benchmarks.studies.frame_faults
if (($#)); then
  "$runner" -m benchmarks.publish
  exit
fi

# matplotlib, in a folder that is gone afterwards.
find_python
find_uv
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mapfile -t needs < <("$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")')
"$uv" pip install --quiet --python "$python" --target "$scratch" "${needs[@]}"
"$uv" run --quiet --no-project --python "$python" --with mediapipe==0.10.21 \
  python benchmarks/studies/mediapipe_meshes.py "$scratch/meshes.npz"
step pose benchmarks.studies.pose --meshes "$scratch/meshes.npz"
PYTHONPATH=$scratch:src:. "$python" -m benchmarks.plots
PYTHONPATH=$scratch:src:. "$python" -m benchmarks.studies.quality_plots

"$python" -m benchmarks.publish
echo "All done in $(((SECONDS - started) / 60)) minutes; docs/performance-measured.md and docs/quality-measured.md have the tables."
