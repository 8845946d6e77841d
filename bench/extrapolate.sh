#!/usr/bin/env bash
# Train short, test long: docs/results/extrapolate.md. Trains the same small model once for every position method and seed, and reads
# texts of 512 to 8,192 tokens with each, also with the methods that need no training.
#   bench/extrapolate.sh OUT TRAIN TEST      then: bench/extrapolate.py OUT
# What OUT has already is not done again.
# TRAIN: files, folders or archives; TEST: a book.
# LONGVIEW: the program (build/longview); DEVICE: cpu, cuda or auto; JOBS: trainings at once; SEEDS; SET: more --set values;
# ONLY: some of the models, separated by spaces; LENGTHS: of the texts in tokens; TRIALS: texts of each length
set -euo pipefail
out=$1 train=$2 test=$3
program=${LONGVIEW:-build/longview} seeds=${SEEDS:-1}
lengths=${LENGTHS:-1k,2k,4k,8k} trials=${TRIALS:-4}
mkdir -p "$out"

# name | what is trained | methods that read it ("-": its own), separated by spaces
models() {
  cat <<'END'
rope|model.position=rope|- linear:factor=16 ntk:factor=16 ntk_mixed:factor=16 yarn:factor=16,original=512 dynamic rerope:window=256 leaky_rerope:window=256,factor=32 rope:logn=clipped linear:factor=16,logn=clipped ntk:factor=16,logn=clipped ntk_mixed:factor=16,logn=clipped rerope:window=256,logn=clipped leaky_rerope:window=256,factor=32,logn=clipped +streaming:window=512 +window:window=512 +lm_infinite:window=512
rope_logn|model.position=rope:logn=trained|- linear:factor=16 ntk:factor=16 ntk_mixed:factor=16 rerope:window=256 leaky_rerope:window=256,factor=32
hwfa|model.position=hwfa|-
hwfa2|model.position=hwfa2:window=512|- hwfa2:window=256
hwfa2_logn|model.position=hwfa2:window=512,logn=trained|- hwfa2:window=256
keynorm|model.normalize=key|- rerope:window=256 ntk_mixed:factor=16
keynorm_logn|model.normalize=key model.position=rope:logn=trained|-
cosine|model.normalize=cosine|-
cosine_logn|model.normalize=cosine model.position=rope:logn=trained|-
bias|model.qkv_bias=true train.frozen=v_proj.bias|- rerope:window=256
alibi|model.position=alibi|-
kerple|model.position=kerple|-
kerple_power|model.position=kerple:kind=power|-
sandwich|model.position=sandwich|-
t5|model.position=t5|-
fire|model.position=fire|-
xpos|model.position=xpos|- +window:window=512
nope|model.position=nope|-
nope_logn|model.position=nope:logn=trained|-
window|model.attention=window:window=128|-
END
}

one() {
  local name=$1 seed=$2 changes=$3 methods=$4 folder=$out/$1-$2 sets=() asked=() change
  for change in $changes ${SET:-}; do sets+=(--set "$change"); done
  for method in $methods; do
    case $method in
      -) asked+=(--method own) ;;
      +*) asked+=(--method "${method#+}") ;;
      *) asked+=(--method "$method") ;;
    esac
  done
  if [[ ! -s $out/$name-$seed.train.json ]]; then
    "$program" train "$(dirname "$0")/../recipes/extrapolate.toml" -o "$folder" --force -q --device "${DEVICE:-auto}" \
      --set "data.source=0.85*text:path=$train + 0.15*loops:path=$train,least=32,most=448" --set run.seed="$seed" "${sets[@]}" \
      --json "$folder.part" >"$folder.log" 2>&1 || { echo "$name, seed $seed: $folder.log" >&2; return; }
    mv "$folder.part" "$out/$name-$seed.train.json"
  fi
  if [[ ! -s $out/$name-$seed.json ]]; then
    "$program" eval repeat "$test" -m "$(ls -d "$folder"/checkpoint-*/model | tail -1)" -q --device "${DEVICE:-auto}" \
      --lengths "$lengths" --period 512 --trials "$trials" "${asked[@]}" --json "$folder.part" >>"$folder.log" 2>&1 ||
      { echo "$name, seed $seed: $folder.log" >&2; return; }
    mv "$folder.part" "$out/$name-$seed.json"
  fi
}

for seed in $seeds; do
  while IFS='|' read -r name changes methods; do
    [[ -z ${ONLY:-} || " $ONLY " == *" $name "* ]] || continue
    while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n; done
    one "$name" "$seed" "$changes" "$methods" &
  done < <(models)
done
wait
