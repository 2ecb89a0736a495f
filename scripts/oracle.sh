#!/usr/bin/env bash
# The oracle of the parity tests: insightface in an environment of its own (.oracle), with the very
# numpy, OpenCV and onnxruntime of the service, and the stand-in pack it is asked about.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
install_locked .oracle requirements-oracle.lock

pack=.oracle/packs/standin
maker=../shared/tools/make_standin_pack.py
if [[ ! -f $maker ]]; then
  echo "No stand-in pack: $maker is not here." >&2
elif [[ ! -d $pack || $maker -nt $pack ]]; then
  # Written aside and moved: a half-written pack is never taken for a whole one.
  rm -rf "$pack" "$pack.part"
  .oracle/bin/python "$maker" "$pack.part"
  mv "$pack.part" "$pack"
fi
