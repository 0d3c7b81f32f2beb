#!/usr/bin/env bash
# The release's proofs, with the binary and the reference networks that a release is measured with.
#
#   tests/prove.sh                                   # all of them in turn
#   tests/prove.sh limits crowd                      # some
#   tests/prove.sh limits --write docs/memory.md     # what follows the names goes to the proof
#
#   limits       every configuration in a control group of its predicted peak + 4 MB, 200 requests each
#   crowd        64 clients for a minute under a real 96 MB
#   soak         10,000 mixed requests: memory, descriptors and threads do not creep
#   selftest     the seed's procedure and ours, whole, in less than three minutes
#   speed        int8 against fp32 on EfficientNetV2-S
#   predictions  the plan of every network beside what a fresh process takes
#
# What is skipped elsewhere counts as failed here. Exit code 1: one failed; 2: it could not start.
set -uo pipefail
cd "$(dirname "$0")/.."

binary=$PWD/build/release/dermlens
reference=$PWD/build/reference
all=(limits crowd soak selftest speed predictions)

names=()
while [[ $# -gt 0 && $1 != -* ]]; do
  if [[ " ${all[*]} " != *" $1 "* ]]; then
    echo "prove.sh: no proof '$1' (${all[*]})" >&2
    exit 2
  fi
  names+=("$1")
  shift
done
if [[ $# -gt 0 && ${#names[@]} -ne 1 ]]; then
  echo "prove.sh: options ($*) go to one proof: name it" >&2
  exit 2
fi
[[ ${#names[@]} -gt 0 ]] || names=("${all[@]}")

if [[ ! -x $binary ]]; then
  echo "prove.sh: no binary (build/release/dermlens); ./quickstart.sh builds it" >&2
  exit 2
fi
if [[ ! -f $reference/efficientnet_v2_s/model.onnx ]]; then
  echo "prove.sh: no reference networks (build/reference);" \
    "/usr/bin/python3 tools/make_reference_models.py all -o build/reference makes them" >&2
  exit 2
fi
export DERMLENS_BINARY=$binary DERMLENS_REFERENCE_DIR=$reference DERMLENS_RELEASE=1

# Where no control group can be made the crowd's test is skipped, and that is no proof.
can_group() {
  /usr/bin/python3 -c "import sys; sys.path.append('tests/e2e')
import control_group; sys.exit(control_group.why_not())"
}

prove() {
  local name=$1
  shift
  case $name in
    limits) DERMLENS_LIMITS_REQUESTS=200 /usr/bin/python3 tests/e2e/limits/cgroup_test.py "$@" ;;
    crowd) can_group && /usr/bin/python3 tests/e2e/server/crowd_test.py "$@" 60 ;;
    soak) /usr/bin/python3 tests/soak/run.py --requests 10000 "$@" ;;
    selftest) /usr/bin/python3 tests/e2e/seed/selftest_test.py "$@" Selftest.test_the_whole_procedure_ends_within_three_minutes ;;
    speed) /usr/bin/python3 tests/e2e/cli/quantize_test.py "$@" Speed ;;
    predictions) /usr/bin/python3 tests/e2e/limits/predictions_test.py "$@" ;;
  esac
}

failed=()
for name in "${names[@]}"; do
  echo "== $name"
  prove "$name" "$@" || failed+=("$name")
done
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "proved: ${names[*]}"
