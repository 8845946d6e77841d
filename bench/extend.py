"""One table from several `longview compare --json` files of the same methods, of one book each.

  extend.py FILE...

Each cell: mean loss over the books (difference to the reference ± its standard error over the books). The reference is
streaming:window=2048; rows are sorted by the loss of the last bucket.
"""
import json, math, sys

REFERENCE = "streaming:window=2048"


def mean(x):
    return sum(x) / len(x)


def error(x):
    return math.sqrt(sum((v - mean(x)) ** 2 for v in x) / (len(x) - 1) / len(x)) if len(x) > 1 else float("nan")


def main(paths):
    rows, books = {}, set()                                          # rows: label -> book -> method
    for path in paths:
        result = json.load(open(path))
        books.update(result["books"])
        for method in result["methods"]:
            rows.setdefault(method["label"], {})[result["books"][0]] = method
    rows = {label: [of[book] for book in sorted(books)] for label, of in rows.items() if len(of) == len(books)}
    buckets = [(b["from"], b["to"]) for b in rows[REFERENCE][0]["buckets"]]
    name = lambda n: f"{n // 1024}K" if n else "0"
    print("| method | " + " | ".join(f"{name(a)}-{name(b)}" for a, b in buckets) + " |")
    print("|---|" + "---|" * len(buckets))
    for label, methods in sorted(rows.items(), key=lambda row: mean([m["buckets"][-1]["nll"] for m in row[1]])):
        cells = []
        for b in range(len(buckets)):
            nll = [m["buckets"][b]["nll"] for m in methods]
            cell = f"{mean(nll):.3f}"
            if label != REFERENCE:
                difference = [x - r["buckets"][b]["nll"] for x, r in zip(nll, rows[REFERENCE])]
                cell += f" ({mean(difference):+.3f} ± {error(difference):.3f})"
            cells.append(cell)
        print(f"| `{label}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
