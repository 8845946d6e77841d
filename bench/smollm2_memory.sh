#!/usr/bin/env bash
# A checkpoint given a memory: docs/results/smollm2-memory.md. Trains a model with its memory and, on the same texts, with the same view and a
# memory whose gates stay closed; then reads books with both, with the memory off, and with the untouched model and methods that need no training.
#   bench/smollm2_memory.sh OUT MODEL TRAIN BOOK...      then: bench/extend.py OUT/*.json
# What OUT has already is not done again.
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; LENGTH: tokens of each book; SET: more --set values of
# recipes/smollm2-memory.toml; MEMORY: the memory
set -euo pipefail
out=$1 model=$2 train=$3
shift 3
program=${LONGVIEW:-build/longview} memory=${MEMORY:-infini_streaming:segment=1024,overlap=1024}
device=(--device "${DEVICE:-auto}") changes=()
for change in ${SET:-}; do changes+=(--set "$change"); done
mkdir -p "$out"

trained() {  # NAME MODEL OPTION...: a folder OUT/NAME with the adapter of a training put into the model
  local name=$1 from=$2 start=$SECONDS
  shift 2
  [[ ! -d $out/$name ]] || return 0
  "$program" train "$(dirname "$0")/../recipes/smollm2-memory.toml" --from "$from" -o "$out/$name.training" --force -q "${device[@]}" \
    --set "data.source=text:path=$train" --set run.save_every=0 "${changes[@]}" "$@" >"$out/$name.log" 2>&1
  "$program" convert "$from" "$out/$name" --adapter "$(ls -d "$out/$name.training"/checkpoint-*/adapter | tail -n 1)" -q
  echo "$name: $((SECONDS - start)) s"
}

read_with() {  # NAME MODEL METHOD...: the books, one file each
  local name=$1 from=$2 book file asked=() method
  shift 2
  for method in "$@"; do asked+=(--method "$method"); done
  for book in "${books[@]}"; do
    file=$out/$name-$(basename "$book" .txt).json
    [[ ! -s $file ]] || continue
    "$program" compare "$book" -m "$from" -q "${device[@]}" --max-tokens "${LENGTH:-32k}" --lengths 1k,2k,4k,8k,12k,16k,24k,32k,48k "${asked[@]}" \
      --json "$file.part" >"$out/$name.txt" 2>&1
    mv "$file.part" "$file"
  done
}

books=("$@")
[[ -d $out/with-memory ]] || "$program" convert "$model" "$out/with-memory" --add-infini="$memory" -q
[[ -d $out/untouched ]] || "$program" convert "$model" "$out/untouched" -q
trained memory "$out/with-memory"
read_with memory "$out/memory" own "$memory,memory=off"
read_with untouched "$out/untouched" streaming:window=2048 none yarn:factor=4 dynamic leaky_rerope:window=4096,factor=8
trained view "$out/with-memory" --set train.trained=
read_with view "$out/view" own streaming:window=2048
