#!/usr/bin/env bash
# Installs what the tests need, builds the dev preset, makes the reference networks, runs every
# test. Arguments go to ctest: ./test.sh -R Packing
set -euo pipefail
cd "$(dirname "$0")"

tools/install_packages.sh test

# Python packages that Debian does not have (ONNX Runtime; onnx for the operator tests of opset 18).
# Tests that want them say so and are skipped where they could not be installed.
python=build/python
if [[ ! -x $python/bin/python ]]; then
  mkdir -p build
  /usr/bin/python3 -m venv $python
fi
$python/bin/python -c "import onnx, onnxruntime, numpy, PIL" 2>/dev/null ||
  $python/bin/python -m pip install -q onnx onnxruntime numpy pillow ||
  echo "test.sh: no ONNX Runtime from PyPI; its tests will be skipped" >&2

options=()
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset dev "${options[@]}" >build/configure.log || { cat build/configure.log; exit 1; }
cmake --build --preset dev

# PyTorch's networks and goldens: a cache in build/reference, made once.
/usr/bin/python3 tools/make_reference_models.py all -o build/reference

exec ctest --test-dir build/dev --output-on-failure -j "$(nproc)" "$@"
