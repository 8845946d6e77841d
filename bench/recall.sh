#!/usr/bin/env bash
# Passkey, needle and repetition for each method: what docs/results/recall.md shows.
#   bench/recall.sh OUT MODEL BOOK         the tasks of one method after the other, JOBS methods at once
set -euo pipefail
out=$1 model=$2 book=$3
methods=(none dynamic yarn:factor=4 rerope:window=4096 leaky_rerope:window=4096,factor=8 leaky_rerope:window=4096,factor=8,logn=clipped
  self_extend:window=2048,group=4 dual_chunk streaming:window=2048 super_baseline lm_infinite:window=2048 ntk_by_parts:factor=4)
mkdir -p "$out"
one() {
  local name=${1//[^a-z0-9]/_}
  local common=(-m "$model" --device "${DEVICE:-auto}" -t "${THREADS:-0}" -q --method "$1")
  for task in passkey needle; do
    "${LONGVIEW:-build/longview}" eval $task "$book" "${common[@]}" --lengths 4k,8k,16k,32k --depths "${DEPTHS:-10,50,90}" --json "$out/${task}_$name.json"
  done
  "${LONGVIEW:-build/longview}" eval repeat "$book" "${common[@]}" --lengths 24k --period 12k --json "$out/repeat_$name.json"
}
for method in "${methods[@]}"; do
  while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n; done
  one "$method" >"$out/recall_${method//[^a-z0-9]/_}.txt" 2>&1 &
done
wait
