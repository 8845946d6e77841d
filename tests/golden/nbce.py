# One step of NBCE as kexue.fm/archives/9617 and 9632 publish it, in numpy f64: writes nbce.json. No other packages.
#   for every row (row 0: no context): log softmax, top-p, entropy of what is left; the least entropy chooses, eta favours the
#   context before; (1 + beta) l_k - beta l_0 where l_0 was kept, l_k elsewhere
import json

import numpy as np

V, N = 24, 4
random = np.random.default_rng(9617)


def step(logits, before, pooling, beta, eta, top_p):
    l = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(1, keepdims=True)
    for row in l:
        order = np.argsort(row)  # ascending, as the published program cuts: drop while the tail has at most 1 - p
        row[order[:-1][np.cumsum(np.exp(row[order]))[:-1] <= 1 - top_p]] = -np.inf
    entropy = -(np.exp(l) * np.clip(l, -100, 0)).sum(1)[1:]
    held = entropy.copy()
    if before >= 0:
        held[before] -= eta
    k = int(held.argmin())
    n = len(l) - 1
    ctx = l[1:]
    p = {"entropy": ctx[k], "max": ctx.max(0), "mean": ctx.mean(0), "sum": ctx.sum(0)}[pooling]
    a, b = (1, n - 1) if pooling == "sum" else (1 + beta, beta)
    with np.errstate(invalid="ignore"):
        merged = np.where(l[0] > -100, a * p - b * l[0], p)
    return [x if x > -1e29 else None for x in merged], k, entropy.tolist()


cases = []
for number in range(24):
    logits = np.round(random.normal(size=(N + 1, V)) * random.uniform(0.5, 6, size=(N + 1, 1)), 3)
    pooling = ["entropy", "mean", "max", "sum"][number % 4]
    before = -1 if number % 3 == 0 else int(random.integers(N))
    beta, eta = float(random.choice([0.25, 0, 1, -0.5])), float(random.choice([0.1, 0, 2]))
    top_p = 0.95 if number % 2 else float(random.choice([0.6, 0.999]))
    merged, k, entropy = step(logits, before, pooling, beta, eta, top_p)
    cases.append(dict(logits=logits.tolist(), before=before, pooling=pooling, beta=beta, eta=eta, top_p=top_p, merged=merged, context=k,
                      entropy=entropy))
with open("nbce.json", "w") as out:
    json.dump(cases, out)
