#!/usr/bin/env bash
# ARM64 for tests/test_processors.py, which qemu-aarch64 runs: Debian's Python with the numpy and the ONNX Runtime
# that requirements.lock pins, in .arm64 (190 MB). The system's own packages and apt's lists stay as they are.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh

pins=$(awk '/^[a-z]/ { wanted = /^(numpy|onnxruntime)==/ } wanted' requirements.lock)
stamp=.arm64/.installed
if [[ -f $stamp && $(<"$stamp") == "$pins" ]]; then exit; fi
for tool in qemu-aarch64 apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || {
    echo "No ARM64 for the tests: $tool is not installed." >&2
    exit 1
  }
done
find_python
find_uv

rm -rf .arm64 .arm64.part
here=$PWD/.arm64.part
mkdir -p "$here"/{root,apt/lists/partial,apt/archives/partial}
touch "$here/apt/status"
apt=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)"
  -o Dir::State="$here/apt" -o Dir::State::status="$here/apt/status" -o Dir::Cache="$here/apt"
  -o Acquire::Languages=none -o Debug::NoLocking=true)
echo "Installing Debian's Python for ARM64 into .arm64" >&2
timeout 120 apt-get "${apt[@]}" update
timeout 300 apt-get "${apt[@]}" install --yes --no-install-recommends --download-only python3 libstdc++6 >/dev/null
for package in "$here"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$here/root"; done
rm -rf "$here/apt"

# ONNX Runtime looks for ARM's fields in /proc/cpuinfo, where QEMU before 8.1 shows those of the real processor, and
# ends with a segmentation fault. The instruction sets it asks QEMU for, by getauxval.
mkdir -p "$here"/root/{proc,sys/devices/system/cpu}
printf '%s\n' "processor : 0" "Features : fp asimd" "CPU implementer : 0x00" "CPU architecture: 8" \
  "CPU variant : 0x0" "CPU part : 0x000" "CPU revision : 0" >"$here/root/proc/cpuinfo"
echo 0 >"$here/root/sys/devices/system/cpu/possible"

version=$(readlink "$here/root/usr/bin/python3")
"$uv" pip install --quiet --no-deps --require-hashes --only-binary :all: --python-version "${version#python}" \
  --python-platform aarch64-manylinux_2_28 --target "$here/site" -r <(echo "$pins")
echo "$pins" >"$here/.installed"
mv .arm64.part .arm64
