#!/usr/bin/env bash
# Tokens a second of three trainings, for docs/results/train-speed.md; with PYTHON set, two of them also in plain PyTorch, in turns.
#   bench/train_speed.sh OUT [MODEL]      MODEL: SmolLM2-135M, whose shape and tokenizer the third takes
# LONGVIEW: the program (build/longview); PYTHON: one with torch; DEVICE; STEPS; SET: more --set values
set -euo pipefail
out=$1 model=${2:-} program=${LONGVIEW:-build/longview} here=$(dirname "$0")
mkdir -p "$out"

# NAME LAYERS WIDTH HEADS KV FORWARD ATTENTION TOKENS TOKENIZER
longview() {
  local more=() change
  for change in ${SET:-}; do more+=(--set "$change"); done
  cat >"$out/$1.toml" <<END
[model]
layers = $2
width = $3
heads = $4
kv_heads = $5
feed_forward = $6
length = 8192
attention = "$7"
gate = "sigmoid"
tokenizer = "$9"
tied_head = $([ "$9" = byte ] && echo false || echo true)
[train]
steps = ${STEPS:-40}
[run]
tokens = $8
log_every = 10
save_every = 0
[data]
source = "copy"
[[stage]]
length = 8192
END
  "$program" train "$out/$1.toml" -o "$out/$1" --force -q --device "${DEVICE:-auto}" "${more[@]}" >"$out/$1.log" 2>&1 || cat "$out/$1.log"
  echo "$1, longview: $(tail -n 1 "$out/$1/log.jsonl" | grep -o '"\(tokens_per_second\|mfu\)":[0-9.]*' | tr '\n' ' ')"
}
torch() {
  [ -n "${PYTHON:-}" ] || return 0
  echo "$1, PyTorch: $("$PYTHON" "$here/train_speed.py" "${@:2}" --steps "${STEPS:-40}" | tail -n 2 | tr '\n' ' ')"
}

for turn in 1 2; do
  longview infini-25m 8 512 8 8 1408 infini:segment=512 131072 byte
  torch infini-25m --layers 8 --width 512 --heads 8 --forward 1408 --segment 512 --rows 16
  longview passkey-10.8m 6 384 6 6 1024 infini:segment=256 65536 byte
  torch passkey-10.8m --layers 6 --width 384 --heads 6 --forward 1024 --segment 256 --rows 8
  torch passkey-10.8m --layers 6 --width 384 --heads 6 --forward 1024 --segment 256 --rows 8 --compile
  [ -z "$model" ] || longview smollm2-135m 30 576 9 3 1536 full 131072 "$model"
done
