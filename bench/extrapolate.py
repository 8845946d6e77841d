#!/usr/bin/env python3
# The tables of docs/results/extrapolate.md from what bench/extrapolate.sh wrote:   bench/extrapolate.py OUT
# Percent of next tokens that were right inside the trained length, and at positions past it in texts that repeat and that do not, with
# the loss of the latter; the mean over texts and seeds, and its standard error over seeds where there are several.
import json
import sys
from collections import defaultdict
from pathlib import Path

from means import mean, shown

cells = defaultdict(list)  # (model, method, length) -> one row a seed
for path in sorted(Path(sys.argv[1]).glob("*.json")):
    if path.name.endswith(".train.json"):
        continue
    model = path.stem.rsplit("-", 1)[0]
    for row in json.loads(path.read_text())["rows"]:
        cells[model, row["label"], row["length"]].append(row)


lengths = sorted({length for _, _, length in cells})
for key, title, scale, digits in [("repeated", "Accuracy, repeated text", 100, 2), ("non_repeated", "Accuracy, text that goes on", 100, 2),
                                  ("non_repeated_nll", "Loss, text that goes on (nats a token)", 1, 3)]:
    print(f"## {title}\n\n| trained | read with | inside | " + " | ".join(f"{x:,}" for x in lengths) + " |")
    print("|---|---|---|" + "---|" * len(lengths))
    last = {(m, l): mean([r[key] for r in rows]) for (m, l, n), rows in cells.items() if n == lengths[-1]}
    order = sorted(last, key=last.get, reverse=scale == 100)
    of = lambda rows, name, by, digits: shown([by * r[name] for r in rows], digits)
    for model, label in order:
        row = [cells.get((model, label, x), []) for x in lengths]
        inside = of(row[-1], "first", 100, 2)
        print(f"| {model} | {label} | {inside} | " + " | ".join(of(r, key, scale, digits) if r else "" for r in row) + " |")
    print()
