"""One table from several `longview compare --json` files of the same methods, of one book each; of one model or several.

  extend.py FILE...

Each cell: mean loss over the books (difference to the reference ± its standard error over the books). The reference is
streaming:window=2048, of the first model that has it; rows are sorted by the loss of the last bucket.
"""
import json, sys

from means import error, mean

REFERENCE = "streaming:window=2048"


def main(paths):
    rows, books, models = {}, set(), []                              # rows: (model, label) -> book -> method
    for path in paths:
        result = json.load(open(path))
        books.update(result["books"])
        models += [result["model"]] if result["model"] not in models else []
        for method in result["methods"]:
            rows.setdefault((result["model"], method["label"]), {})[result["books"][0]] = method
    rows = {row: [of[book] for book in sorted(books)] for row, of in rows.items() if len(of) == len(books)}
    reference = next((model, REFERENCE) for model in models if (model, REFERENCE) in rows)
    buckets = [(b["from"], b["to"]) for b in rows[reference][0]["buckets"]]
    name = lambda n: f"{n // 1024}K" if n else "0"
    print("| method | " + " | ".join(f"{name(a)}-{name(b)}" for a, b in buckets) + " |")
    print("|---|" + "---|" * len(buckets))
    for (model, label), methods in sorted(rows.items(), key=lambda row: mean([m["buckets"][-1]["nll"] for m in row[1]])):
        cells = []
        for b in range(len(buckets)):
            nll = [m["buckets"][b]["nll"] for m in methods]
            cell = f"{mean(nll):.3f}"
            if (model, label) != reference:
                difference = [x - r["buckets"][b]["nll"] for x, r in zip(nll, rows[reference])]
                cell += f" ({mean(difference):+.3f} ± {error(difference):.3f})"
            cells.append(cell)
        shown = f"`{label}`" if len(models) == 1 else f"{model} `{label}`"
        print(f"| {shown} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
