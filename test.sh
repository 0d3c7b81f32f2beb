#!/usr/bin/env bash
# Installs what the tests need, builds the dev preset, makes the reference networks, lets the fuzzers
# look for a minute, runs every test. Arguments go to ctest, without the fuzzers: ./test.sh -R Packing
set -euo pipefail
cd "$(dirname "$0")"

tools/install_packages.sh test

# Python packages that Debian does not have (ONNX Runtime; onnx for the operator tests of opset 18;
# Triton's client for the inference protocol).
# Tests that want them say so and are skipped where they could not be installed.
python=build/python
if [[ ! -x $python/bin/python ]]; then
  mkdir -p build
  /usr/bin/python3 -m venv $python
fi
$python/bin/python -c "import onnx, onnxruntime, numpy, PIL, tritonclient.http" 2>/dev/null ||
  $python/bin/python -m pip install -q onnx onnxruntime numpy pillow 'tritonclient[http]' ||
  echo "test.sh: no ONNX Runtime or Triton client from PyPI; their tests will be skipped" >&2

# ONNX's own operator tests: Debian's stop at opset 17; onnx 1.13 is opset 18, and its package
# holds them (that of later versions does not always).
nodes=onnx/backend/test/data/node
[[ -d build/onnx18/$nodes ]] ||
  $python/bin/python -m pip install -q --no-deps --target build/onnx18 onnx==1.13.1 ||
  echo "test.sh: no onnx 1.13 from PyPI; operator tests stop at opset 17" >&2
export DERMLENS_ONNX_NODE_TESTS="/usr/lib/python3/dist-packages/$nodes:$PWD/build/onnx18/$nodes"

# The page's tests drive a real browser through two packages from npm; without them they are skipped.
if command -v npm >/dev/null; then
  mkdir -p build/node
  cp tests/e2e/page/package.json tests/e2e/page/package-lock.json build/node/
  npm ci --prefix build/node --silent ||
    echo "test.sh: no packages from npm; the page's tests will be skipped" >&2
  export DERMLENS_NODE_MODULES="$PWD/build/node/node_modules"
fi

# The tests' Python is the one that has them.
options=(-DPython3_EXECUTABLE="$PWD/$python/bin/python")
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset dev "${options[@]}" >build/configure.log || { cat build/configure.log; exit 1; }
cmake --build --preset dev

# PyTorch's networks and goldens: a cache in build/reference, made once.
/usr/bin/python3 tools/make_reference_models.py all -o build/reference
export DERMLENS_REFERENCE_DIR="$PWD/build/reference"

# Clang's sanitizers over strangers' models and pictures. The corpus itself is replayed by ctest.
[[ $# -gt 0 ]] || tests/fuzz/run.sh 30

exec ctest --test-dir build/dev --output-on-failure -j "$(nproc)" "$@"
