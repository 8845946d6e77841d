#!/usr/bin/env bash
# A checkpoint that is given a memory and taught to find a number in it: docs/results/smollm2-memory.md. Trains, asks for keys in sentences that repeat
# themselves and in HAYSTACK, with the memory on and off, and reads BOOKs for what it costs.
#   bench/smollm2_passkey.sh OUT MODEL TRAINING_BOOKS HAYSTACK BOOK...
# What OUT has already is not done again. HAYSTACK: a text, or a folder of texts. LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto;
# PRECISION: of reading keys on a GPU (f32 or bf16); SET: more --set values of recipes/smollm2-passkey.toml; LENGTHS, TRIALS: of the cells; LENGTH: tokens of each BOOK
set -euo pipefail
out=$1 model=$2 training=$3 haystack=$4
shift 4
program=${LONGVIEW:-build/longview} recipe=$(dirname "$0")/../recipes/smollm2-passkey.toml
memory=infini_streaming:segment=256,overlap=256 device=(--device "${DEVICE:-auto}") changes=()
source=$(sed -n 's/^source = "\(.*\)"$/\1/p' "$recipe")
for change in ${SET:-}; do changes+=(--set "$change"); done
mkdir -p "$out"

[[ -d $out/with-memory ]] || "$program" convert "$model" "$out/with-memory" --add-infini="$memory" --beta 0.2 -q
if [[ ! -d $out/finder ]]; then
  start=$SECONDS
  "$program" train "$recipe" --from "$out/with-memory" -o "$out/training" --force -q "${device[@]}" \
    --set "data.source=${source//path=books/path=$training}" "${changes[@]}" >"$out/training.log" 2>&1 || { tail -n 1 "$out/training.log" >&2; exit 1; }
  "$program" convert "$out/with-memory" "$out/finder" --adapter "$(ls -d "$out/training"/checkpoint-*/adapter | tail -n 1)" -q
  echo "trained in $((SECONDS - start)) s"
fi

ask() {  # NAME OPTION...: one measurement, unless it is there
  local file=$out/$1.json start=$SECONDS
  [[ ! -s $file ]] || return 0
  "$program" eval passkey -m "$out/finder" -q "${device[@]}" --precision "${PRECISION:-f32}" --chunk "${CHUNK:-16384}" --depths 0,25,50,75,98 \
    --json "$file.part" "${@:2}" >"$out/$1.txt" 2>&1 || { tail -n 1 "$out/$1.txt" >&2; return 0; }
  mv "$file.part" "$file"
  echo "$1 in $((SECONDS - start)) s"
}
files=("$haystack")
[[ ! -d $haystack ]] || files=("$haystack"/*)
for length in ${LENGTHS:-4096 8192 32768 131072 1048576}; do
  trials=${TRIALS:-8}
  ((length < 1000000)) || trials=$(((trials + 3) / 4))
  ask "cells-$length" --lengths "$length" --trials "$trials"
  ask "haystack-$length" --lengths "$length" --trials "$trials" --haystack "${files[@]}"
done
ask off --lengths 4096,8192 --trials "${TRIALS:-8}" --memory off
for book in "$@"; do
  file=$out/read-$(basename "$book" .txt).json
  [[ -s $file ]] || "$program" compare "$book" -m "$out/finder" -q "${device[@]}" --max-tokens "${LENGTH:-32k}" --lengths 1k,2k,4k,8k,12k,16k,24k,32k \
    --method own --method "$memory,memory=off" --json "$file" >"$out/read.txt" 2>&1
done
