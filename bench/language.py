#!/usr/bin/env python3
# The tables of docs/results/language.md from what bench/language.sh wrote:   bench/language.py OUT TEST...
# Nats a byte over all texts, a word of them, by position and by offset in a segment; the mean over seeds, and its standard error where there
# are several. "off": the same model with its memory off.
import json
import sys
from collections import defaultdict
from pathlib import Path

from means import mean, shown

texts = {Path(name).name: Path(name).read_bytes() for name in sys.argv[2:]}
rows = defaultdict(list)  # model, memory off -> one reading of all texts a seed
gates = defaultdict(list)  # model -> of each layer, a seed
for path in sorted(Path(sys.argv[1]).glob("*.json")):
    model, seed = path.stem.rsplit("-", 1)
    report = json.loads(path.read_text())
    readings = defaultdict(list)
    for run in report.get("runs", [report]):
        readings["memory=off" in run["attention"]].append(run)
    for is_off, runs in readings.items():
        rows[model, is_off].append(runs)
    log = Path(sys.argv[1]) / path.stem / "log.jsonl"
    if log.exists():
        last = json.loads(log.read_text().splitlines()[-1])
        gates[model].append(last.get("gates", []))


def nats(runs, part=None, at=None):
    """Sum of nats and count of bytes: of all, or of the bucket or offset that begins at `at`."""
    if part is None:
        return sum(r["nll"] * (r["tokens"] - 1) for r in runs), sum(r["tokens"] - 1 for r in runs)
    cells = [c for r in runs for c in r[part] if c["from"] == at]
    return sum(c["nll"] * c["tokens"] for c in cells), sum(c["tokens"] for c in cells)


def ratio(pair):
    return pair[0] / pair[1]


def word_count(runs):
    return sum(len(texts[r["book"]][: r["tokens"]].split()) for r in runs)


order = sorted(rows, key=lambda key: mean([ratio(nats(runs)) for runs in rows[key]]))
some = rows[order[0]][0]
print("| memory | nats a byte | nats a word | state, bytes |\n|---|---|---|---|")
for key in order:
    own = rows[key]
    words = [nats(runs)[0] / word_count(runs) for runs in own]
    state = max(r["state_bytes"] for r in own[0])
    print(f"| {key[0]}{', off' if key[1] else ''} | {shown([ratio(nats(runs)) for runs in own], 4)} | {shown(words, 3)} | {state:,} |")
for part, title in [("buckets", "by position"), ("offsets", "by offset in a segment")]:
    edges = sorted({c["from"] for r in some for c in r[part]})
    print(f"\n{title}, from\n\n| memory | " + " | ".join(f"{e:,}" for e in edges) + " |\n|---" + "|---" * len(edges) + "|")
    for key in order:
        cells = [shown([ratio(nats(runs, part, e)) for runs in rows[key]], 3) for e in edges]
        print(f"| {key[0]}{', off' if key[1] else ''} | " + " | ".join(cells) + " |")
print("\ngates, mean of each layer's heads\n")
for model in sorted(gates):
    if any(gates[model]) and model.startswith(("infini", "memorizing")):
        print(f"- {model}: " + "; ".join(" ".join(f"{g:.3f}" for g in seed) for seed in gates[model]))

heads = defaultdict(list)  # model -> the gate of every head of every seed
for path in sorted(Path(sys.argv[1]).glob("*.gates")):
    for layer in json.loads(path.read_text())["memory"]:
        heads[path.stem.rsplit("-", 1)[0]] += layer["gates"]
if heads:
    print("\nheads by gate, from\n\n| memory | " + " | ".join(f"{t / 10:.1f}" for t in range(10)) + " |\n|---" + "|---" * 10 + "|")
for model, all_of in sorted(heads.items()):
    counts = [sum(min(int(g * 10), 9) == t for g in all_of) for t in range(10)]
    print(f"| {model} | " + " | ".join(map(str, counts)) + " |")
