#!/usr/bin/env bash
# Passkey and needle of every method: what docs/results/recall.md shows.
#   bench/recall.sh OUT MODEL BOOK         then: bench/recall.py OUT/*.json
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; THREADS: of each process; JOBS: processes at once;
# LENGTHS, DEPTHS: of the prompts in tokens, of the sentence in percent; TRIALS: prompts a cell; METHODS: only these, separated by spaces;
# TASKS: passkey, needle, repeat (the second table of docs/results/extend.md)
set -euo pipefail
out=$1 model=$2 book=$3
# the list for LongRoPE is that of bench/extend.sh
list=1/1/1/1/1/1/1/1/1/1/1.02/1.06/1.12/1.2/1.32/1.5/1.75/2.1/2.6/3.2/4/4.3/4.5/4.7/4.8/4.9/5/5/5/5/5/5
all="none dynamic dynamic_yarn yarn:factor=4 ntk:factor=4 ntk_by_parts:factor=4 ntk_mixed:factor=4 abf:base=500000 linear:factor=4
  llama3:factor=4,original=8192 longrope:factor=4,attention_factor=1,long=$list resonance:over=yarn,factor=4
  rerope:window=4096 leaky_rerope:window=4096,factor=8 self_extend:window=2048,group=4 dual_chunk auto
  streaming streaming:window=2048 lm_infinite lm_infinite:window=2048 super_baseline window:window=2048"
mkdir -p "$out"
one() {
  local task=$1 method=$2 asked
  if [[ $task == repeat ]]; then asked=(--lengths 16k --period 10k)
  else asked=(--lengths "${LENGTHS:-4k,8k,16k,32k}" --depths "${DEPTHS:-10,50,90}" --trials "${TRIALS:-1}"); fi
  local name=$out/${task}_${method//[^a-z0-9]/_}
  "${LONGVIEW:-build/longview}" eval "$task" "$book" -m "$model" --device "${DEVICE:-auto}" -t "${THREADS:-0}" -q \
    --method "$method" "${asked[@]}" --json "$name.json" >"$name.txt" 2>&1 || echo "$task $method failed: $name.txt" >&2
}
for method in ${METHODS:-$all}; do
  for task in ${TASKS:-passkey needle}; do
    while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n; done
    one "$task" "$method" &
  done
done
wait
