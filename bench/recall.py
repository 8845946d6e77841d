"""Markdown tables from the JSON files of `longview eval passkey` and `needle` (bench/recall.sh).

  recall.py [--depth 50] [--sort 16384] FILE...

For each task a table of all methods with the sentence at one depth, sorted by the nats at one length: found/tried and the nats a token of
the right answer. Then one of the methods that were measured at several depths: the nats at each, bold where the answer was right.
"""
import argparse, json, re


def cells(paths):
    """task -> method -> (length, depth in percent) -> (found, tried, nats); the same cell of several files is added up."""
    out = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            result = json.load(f)
        if result["task"] not in ("passkey", "needle"):
            continue
        for row in result["rows"]:
            label = re.sub(r"long=[\d./]{20,}", "long=...", row["label"])
            of = out.setdefault(result["task"], {}).setdefault(label, {})
            for d in row["depths"]:
                at = row["length"], round(100 * d["depth"])
                found, tried, nats = of.get(at, (0, 0, 0.0))
                of[at] = found + d["found"], tried + d["tried"], (nats * tried + d["answer_nll"] * d["tried"]) / (tried + d["tried"])
    return out


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def cell(of, length, depth):
    if (length, depth) not in of:
        return ""
    found, tried, nats = of[length, depth]
    return f"{found}/{tried} {nats:.2f}"


def by_depth(of, length, depths):
    """The nats at every depth; bold where every prompt was answered right, a dash where nothing was measured."""
    def one(depth):
        if (length, depth) not in of:
            return "-"
        found, tried, nats = of[length, depth]
        return f"**{nats:.2f}**" if found == tried else f"{nats:.2f}"
    return " ".join(map(one, depths)) if any((length, d) in of for d in depths) else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--sort", type=int, default=16384)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    for task, methods in sorted(cells(args.files).items(), reverse=True):
        lengths = sorted({length for of in methods.values() for length, _ in of})
        head = [f"{n // 1024}K" for n in lengths]
        name = lambda label: label if label == "full attention" else f"`{label}`"
        place = lambda label: methods[label].get((args.sort, args.depth), (0, 0, float("inf")))[2]
        ordered = sorted(methods, key=place)
        print(f"{task}, depth {args.depth} %\n")
        table(["method"] + head, [[name(m)] + [cell(methods[m], n, args.depth) for n in lengths] for m in ordered])
        several = [m for m in ordered if len({depth for _, depth in methods[m]}) > 1]
        if several:
            depths = sorted({depth for m in several for _, depth in methods[m]})
            print(f"{task}, at depths {', '.join(map(str, depths))} %\n")
            table(["method"] + head, [[name(m)] + [by_depth(methods[m], n, depths) for n in lengths] for m in several])


if __name__ == "__main__":
    main()
