#!/usr/bin/env bash
# Trains a memory that finds a passkey, and measures it: docs/results/passkey.md. Everything is written to OUT; what is there is not done again.
#   bench/passkey.sh OUT TRAINING_BOOKS HAYSTACK...      then: bench/passkey.py OUT
# HAYSTACK: a text, or a folder of texts, that training has not seen. LONGVIEW: the program (build/longview); DEVICE; PRECISION: of products on a
# GPU (f32, or bf16, faster); SEEDS; RECIPE (recipes/passkey.toml; its source's `path=books` becomes TRAINING_BOOKS); SET: more --set values;
# LENGTHS, TRIALS: of the cells (other wordings and named needles: half the trials, at the lengths OTHER); PARTS: what is measured (cells other
# haystack offsets controls); CHUNK: tokens read at once; JOBS: measurements at once (a GPU has room for 6)
set -euo pipefail
out=$1 training=$2
shift 2
program=${LONGVIEW:-build/longview} device=${DEVICE:-auto} trials=${TRIALS:-20}
lengths=${LENGTHS:-4096,8192,32768,131072,524288,1048576} depths=0,25,50,75,98
recipe=${RECIPE:-$(dirname "$0")/../recipes/passkey.toml}
source=$(sed -n 's/^source = "\(.*\)"$/\1/p' "$recipe")
mkdir -p "$out"

for seed in ${SEEDS:-1}; do
  changes=() folder=$out/seed-$seed began=$SECONDS
  for change in ${SET:-}; do changes+=(--set "$change"); done
  if ! ls -d "$folder"/checkpoint-*/model >"$out/models" 2>"$out/errors"; then
    "$program" train "$recipe" -o "$folder" --force -q --device "$device" --set run.save_every=0 --set run.seed="$seed" \
      --set "data.source=${source//path=books/path=$training}" "${changes[@]}" >"$folder.log" 2>&1 ||
      { tail -n 1 "$folder.log" >&2; exit 1; }
    echo "seed $seed: trained in $((SECONDS - began)) s"
  fi
  model=$(ls -d "$folder"/checkpoint-*/model | tail -n 1)
  measure() {  # NAME OPTION...
    local file=$folder.$1.json start=$SECONDS
    "$program" eval passkey -m "$model" -q --device "$device" --precision "${PRECISION:-f32}" --chunk "${CHUNK:-65536}" --json "$file.part" "${@:2}" \
      >"$folder.$1.txt" 2>&1 || { tail -n 1 "$folder.$1.txt" >&2; return 0; }
    mv "$file.part" "$file"
    echo "seed $seed: $1 in $((SECONDS - start)) s"
  }
  ask() {  # NAME OPTION...: one measurement, unless it is there, when fewer than JOBS run
    [[ " ${PARTS:-cells other haystack offsets controls} " == *" ${1%%-*} "* && ! -s $folder.$1.json ]] || return 0
    while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n; done
    measure "$@" &
  }
  ask cells --lengths "$lengths" --depths $depths --trials "$trials"
  for length in ${OTHER:-8192 131072 1048576}; do
    ask "other-many-$length" --lengths "$length" --depths 10,50,90 --trials $((trials / 2)) --wordings many --keys mixed
    ask "other-heldout-$length" --lengths "$length" --depths 10,50,90 --trials $((trials / 2)) --wordings heldout --keys mixed
    ask "other-named-$length" --lengths "$length" --depths 10,50,90 --trials $((trials / 2)) --needles 4
  done
  for haystack in "$@"; do
    files=("$haystack")
    [ ! -d "$haystack" ] || files=("$haystack"/*)
    ask "haystack-$(basename "$haystack" .txt)" --lengths "$lengths" --depths $depths --trials "$trials" --haystack "${files[@]}"
  done
  ask offsets --lengths 4096 --depths 0,50 --trials 4 --needle-offsets 0,64,128,192,230 --question-offsets 0,1,3,64,100,200
  ask controls-off --lengths 8192,32768 --depths 0,25,50,75 --trials "$trials" --memory off
  ask controls-window --lengths 8192 --depths 0,25,50,75 --trials "$trials" --method window:window=320
  wait
  echo "seed $seed: all in $((SECONDS - began)) s"
done
