#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing: `build` (what the binary needs), or `test` (that, and
# what ./test.sh needs). Does nothing, and needs no root, where they are all there.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config libdnnl-dev libprotozero-dev libexpected-dev
  libboost1.81-dev libcli11-dev libjpeg-dev libpng-dev libwebp-dev libsqlite3-dev zlib1g-dev
  libxxhash-dev libgtest-dev libgmock-dev)
tests=(ccache clang libclang-rt-dev libomp-dev clang-format python3 python3-venv python3-numpy
  python3-pil libopenblas0-pthread python3-torch python3-torchvision python3-onnx libonnx-testdata chromium curl
  prometheus)  # for promtool
# Any node will do, also one that does not come from Debian.
command -v node >/dev/null || tests+=(nodejs npm)

case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${tests[@]}") ;;
  *) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  status="$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)"
  [[ $status == *installed* && $status != *not-installed* ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "need root, or sudo, to install: ${missing[*]}" >&2; exit 1; }
  root=(sudo)
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq
"${root[@]}" apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
  "${missing[@]}" >/dev/null
