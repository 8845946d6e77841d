#!/usr/bin/env bash
# Every method that needs no training on one model and several books, to 32,768 tokens: what docs/results/extend.md shows.
#   bench/extend.sh OUT MODEL BOOK...      then: bench/extend.py OUT/extend_*.json
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; LENGTH: tokens of each book; SHARES: processes a book; THREADS: of each
set -euo pipefail
out=$1 model=$2
shift 2
# a list of LongRoPE's kind for heads of 64: rising from 1, past the factor for the slowest pairs; not searched for
list=1/1/1/1/1/1/1/1/1/1/1.02/1.06/1.12/1.2/1.32/1.5/1.75/2.1/2.6/3.2/4/4.3/4.5/4.7/4.8/4.9/5/5/5/5/5/5
methods=(streaming:window=2048 none dynamic yarn:factor=4 leaky_rerope:window=4096,factor=8 self_extend:window=2048,group=4
  rerope:window=4096 dual_chunk dynamic:logn=clipped leaky_rerope:window=4096,factor=8,logn=clipped rerope:window=1024
  rerope:window=512,logn=clipped linear:factor=4 ntk:factor=8 ntk_by_parts:factor=4 dynamic_yarn leaky_rerope:window=2048,factor=8
  leaky_rerope:window=4096,factor=16 super_baseline lm_infinite:window=2048 ntk_mixed:factor=4 resonance:over=yarn,factor=4
  "longrope:factor=4,attention_factor=1,long=$list" self_extend:window=2048,group=8 window:window=2048 streaming lm_infinite
  rerope:window=4096,logn=clipped auto ntk:factor=4 llama3:factor=4,original=8192 abf:base=500000)
mkdir -p "$out"
shares=${SHARES:-1}
for book in "$@"; do
  for ((share = 0; share < shares; ++share)); do
    asked=()
    for ((n = share; n < ${#methods[@]}; n += shares)); do asked+=(--method "${methods[n]}"); done
    name=$(basename "$book" .txt)_$share
    "${LONGVIEW:-build/longview}" compare "$book" -m "$model" --device "${DEVICE:-auto}" -t "${THREADS:-0}" --max-tokens "${LENGTH:-32k}" \
      --lengths 1k,2k,4k,8k,12k,16k,24k,32k "${asked[@]}" --json "$out/extend_$name.json" >"$out/extend_$name.txt" 2>&1 &
  done
done
wait
