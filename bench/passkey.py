#!/usr/bin/env python3
# The tables of docs/results/passkey.md from what bench/passkey.sh wrote:   bench/passkey.py OUT
# A cell is found of asked (the whole key the likeliest, token after token), over all seeds, and tokens right in percent where not all are.
import json
import math
import sys
from collections import defaultdict
from pathlib import Path


def wilson(found, asked, z=1.96):
    p, n = found / asked, asked
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0, middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


parts = defaultdict(lambda: defaultdict(lambda: [0, 0, 0.0]))  # part -> (length, depth) -> found, asked, tokens right of one
seeds = defaultdict(set)
for path in sorted(Path(sys.argv[1]).glob("seed-*.json")):
    _, seed = path.name.split(".")[0].split("-")
    part = path.name.split(".")[1]
    seeds[part].add(seed)
    for row in json.loads(path.read_text())["rows"]:
        for cell in row["depths"]:
            sum_ = parts[part][row["length"], cell["depth"]]
            sum_[0] += cell["exact"]
            sum_[1] += cell["tried"]
            sum_[2] += cell["token_accuracy"] * cell["tried"]

for part, cells in parts.items():
    depths = sorted({depth for _, depth in cells})
    print(f"## {part}: seeds {', '.join(sorted(seeds[part]))}\n\n| bytes | " + " | ".join(f"{100 * d:.0f} %" for d in depths) + " | all | 95 % |")
    print("|---" * (len(depths) + 3) + "|")
    for length in sorted({length for length, _ in cells}):
        row = [cells[length, depth] for depth in depths]
        shown = [f"{f}/{n}" + ("" if f == n else f" ({100 * t / n:.1f})") for f, n, t in row]
        found, asked = sum(r[0] for r in row), sum(r[1] for r in row)
        low, high = wilson(found, asked)
        print(f"| {length:,} | " + " | ".join(shown) + f" | {found}/{asked} | {100 * low:.1f}-{100 * high:.1f} % |")
    print()
