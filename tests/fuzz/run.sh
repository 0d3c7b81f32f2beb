#!/usr/bin/env bash
# Looks for new inputs that break a fuzz target, under AddressSanitizer and UBSan, for a bounded time:
#   tests/fuzz/run.sh SECONDS [onnx|image|http]...      by default onnx and image
# Starts from the seeds. What breaks a target is left in build/fuzz/found, and belongs, once it is
# mended, into tests/fuzz/corpus, where every test run replays it.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds="${1:?usage: $0 SECONDS [TARGET]...}"
shift
[[ $# -gt 0 ]] || set -- onnx image

options=()
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
mkdir -p build/fuzz
cmake --preset fuzz "${options[@]}" >build/fuzz/configure.log || { cat build/fuzz/configure.log; exit 1; }
cmake --build --preset fuzz --target "${@/#/fuzz_}"

# Input that takes long or much memory to refuse is a finding too.
search() {
  local target="$1" found="build/fuzz/found/$1"
  mkdir -p "$found/corpus"
  local seeds=("tests/fuzz/corpus/$target")
  [[ $target == image ]] && seeds+=(tests/golden/image)
  "build/fuzz/tests/fuzz/fuzz_$target" "$found/corpus" "${seeds[@]}" -artifact_prefix="$found/" \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -print_final_stats=1 >"$found/log" 2>&1
}

searches=()
for target in "$@"; do
  search "$target" &
  searches+=($!)
done
failed=0
for target in "$@"; do
  echo "fuzz_$target: $seconds s"
  if wait "${searches[0]}"; then
    grep -E "^Done|^stat::(number_of_executed_units|peak_rss_mb)" "build/fuzz/found/$target/log"
  else
    tail -40 "build/fuzz/found/$target/log"
    failed=1
  fi
  searches=("${searches[@]:1}")
done
exit "$failed"
