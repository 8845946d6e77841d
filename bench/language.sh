#!/usr/bin/env bash
# Language modelling with every memory: docs/results/language.md. Trains a small model on short rows, once a seed; goes on from there with every
# memory, on the same long rows; and reads texts that none has seen, Infini's also with the memory off.
#   bench/language.sh OUT TRAIN TEST...      then: bench/language.py OUT TEST...
# What OUT has already is not done again.
# TRAIN: files, folders or archives; TEST: texts.
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; PRECISION: of reading on a GPU (f32 or bf16); JOBS: trainings at once; SEEDS;
# SET: more --set values (BASE: of the short rows alone); ONLY: some of the models, separated by spaces; MODELS: a file with others (bench/language_levers.txt); TOKENS: read of
# each text
set -euo pipefail
out=$1 train=$2
shift 2
program=${LONGVIEW:-build/longview} recipes=$(dirname "$0")/../recipes
mkdir -p "$out"

# name | its attention | methods that read it ("own": its own)
models() {
  if [[ -n ${MODELS:-} ]]; then cat "$MODELS"; return; fi
  cat <<'END'
recurrent_memory|recurrent_memory:segment=256,tokens=32|own
infini_delta|infini:segment=256,rule=delta|own infini:segment=256,rule=delta,memory=off
window|window:window=256|own
window_512|window:window=512|own
transformer_xl|transformer_xl:segment=256|own
compressive|compressive:segment=256,compressed=256,rate=4|own
memorizing|memorizing:segment=256,memory=8192,top=32|own
infini|infini:segment=256|own infini:segment=256,memory=off
infini_overlap|infini:segment=256,overlap=64|own infini:segment=256,overlap=64,memory=off
END
}

model_in() { ls -d "$1"/checkpoint-*/model 2>"$1.log" | tail -n 1; }

trained() {  # FOLDER SEED RECIPE OPTION...: a training there
  local folder=$1 seed=$2 recipe=$3 sets=() change
  shift 3
  [[ -z $(model_in "$folder") ]] || return 0
  for change in ${SET:-} $([[ $recipe == language.toml ]] && echo "${BASE:-}"); do sets+=(--set "$change"); done
  "$program" train "$recipes/$recipe" -o "$folder" --force -q --device "${DEVICE:-auto}" --set "data.source=text:path=$train" --set run.seed="$seed" \
    "$@" "${sets[@]}" >"$folder.log" 2>&1 || { echo "$folder: $(tail -n 1 "$folder.log")" >&2; return 1; }
}

one() {  # NAME SEED ATTENTION METHODS TEST...
  local name=$1 seed=$2 attention=$3 methods=$4 folder=$out/$1-$2 asked=() method
  shift 4
  for method in $methods; do asked+=(--method "$method"); done
  [[ ! -s $folder.json ]] || return 0
  trained "$folder" "$seed" language-memory.toml --from "$(model_in "$out/base-$seed")" --set train.attention="$attention" || return 0
  "$program" read "$@" -m "$(model_in "$folder")" -q --device "${DEVICE:-auto}" --precision "${PRECISION:-f32}" --chunk 8192 \
    --max-tokens "${TOKENS:-128k}" --buckets 0,1k,2k,4k,8k,16k,32k,64k --period 256 "${asked[@]}" --json "$folder.part" >>"$folder.log" 2>&1 ||
    { echo "$folder: $(tail -n 1 "$folder.log")" >&2; return 0; }
  if [[ $attention == infini* ]]; then  # every head's gate
    "$program" read "$1" -m "$(model_in "$folder")" -q --max-tokens 1k --save "$folder.mem" >>"$folder.log" 2>&1 &&
      "$program" state info "$folder.mem" -m "$(model_in "$folder")" --json "$folder.gates" >>"$folder.log" 2>&1 || echo "$folder: no gates" >&2
    rm -f "$folder.mem"
  fi
  mv "$folder.part" "$folder.json"
}

for seed in ${SEEDS:-1}; do
  trained "$out/base-$seed" "$seed" language.toml
  while IFS='|' read -r name attention methods; do
    [[ -z ${ONLY:-} || " $ONLY " == *" $name "* ]] || continue
    while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n; done
    one "$name" "$seed" "$attention" "$methods" "$@" &
  done < <(models)
done
wait
