#!/usr/bin/env bash
# Every method that needs no training on one model and several books, to 32,768 tokens: what docs/results/extend.md shows.
#   bench/extend.sh OUT MODEL BOOK...      one process a book, all at once; then: bench/extend.py OUT/extend_*.json
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; LENGTH: tokens of each book
set -euo pipefail
out=$1 model=$2
shift 2
methods=none,linear:factor=4,ntk:factor=4,ntk:factor=8,ntk_mixed:factor=4,ntk_by_parts:factor=4,yarn:factor=4,yarn:factor=4,ramp=paper
methods+=,resonance:over=yarn,factor=4,llama3:factor=4,original=8192,abf:base=500000,longrope:factor=4
# a list of LongRoPE's kind for heads of 64: rising from 1, past the factor for the slowest pairs; not searched for
list=1/1/1/1/1/1/1/1/1/1/1.02/1.06/1.12/1.2/1.32/1.5/1.75/2.1/2.6/3.2/4/4.3/4.5/4.7/4.8/4.9/5/5/5/5/5/5
methods+=,longrope:factor=4,attention_factor=1,long=$list
methods+=,dynamic,dynamic:logn=clipped,dynamic_yarn,auto,dual_chunk,dual_chunk:chunk=4096
methods+=,rerope:window=512,rerope:window=512,logn=clipped,rerope:window=1024,rerope:window=4096,rerope:window=4096,logn=clipped
methods+=,leaky_rerope:window=2048,factor=8,leaky_rerope:window=4096,factor=8,leaky_rerope:window=4096,factor=8,logn=clipped
methods+=,leaky_rerope:window=4096,factor=16,self_extend:window=2048,group=4,self_extend:window=2048,group=8,self_extend:window=1024,group=8
methods+=,super_baseline,window:window=2048,lm_infinite,lm_infinite:window=2048,streaming,streaming:window=4096,streaming:window=2048
mkdir -p "$out"
pids=()
for book in "$@"; do
  name=$(basename "$book" .txt)
  "${LONGVIEW:-build/longview}" compare "$book" -m "$model" --device "${DEVICE:-auto}" --max-tokens "${LENGTH:-32k}" \
    --lengths 1k,2k,4k,8k,12k,16k,24k,32k --methods "$methods" -q --json "$out/extend_$name.json" >"$out/extend_$name.txt" 2>&1 &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
