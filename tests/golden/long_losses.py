"""Losses by position past the trained length, float32: the reference for `longview read`.

  long_losses.py --model MODEL.gguf|HF_FOLDER --book BOOK.txt [--tokens 16384] [--methods plain,...] [--out FILE.json]

plain      the checkpoint's own rotation
linear4    position interpolation by 4                    yarn4   YaRN by 4 from the trained length
ntkre      dynamic NTK (factor 1): at every chunk all keys are rotated anew by the base of the chunk's end
win2048    a window of the last 2048 tokens (self included), absolute positions
sink2048   StreamingLLM: the first 4 tokens and the last 2044, positions counted inside that cache

Keys are cached before rotation, so each method is a choice of frequencies and of which keys are seen at which distance.
A chunk's attention is computed over a few sets of keys and merged by log-sum-exp. Frequencies are transformers' own.
"""
import argparse, json, os, time

from smollm2 import load, mean, read_ids, sha256                     # first: it sets oneDNN's instruction set
import torch, transformers
import torch.nn.functional as F
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

EDGES = [0, 1024, 2048, 4096, 8192, 12288, 16384, 24576, 32768]
METHODS = "plain,ntkre,yarn4,linear4,sink2048,win2048"
SINKS = 4
flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu   # gives the log-sum-exp too


def frequencies(config, method, length):
    """Radians a step [D/2], and the factor on cos and sin."""
    kind = {"ntkre": "dynamic", "yarn4": "yarn", "linear4": "linear"}.get(method)
    if kind is None:
        d = config.head_dim
        return config.rope_parameters["rope_theta"] ** -(torch.arange(0, d, 2).float() / d), 1.0
    trained = config.max_position_embeddings
    rope = {"rope_type": kind, "rope_theta": config.rope_parameters["rope_theta"], "factor": 1.0 if kind == "dynamic" else 4.0}
    if kind == "yarn":
        rope["original_max_position_embeddings"] = trained
    scaled = transformers.LlamaConfig(**{**config.to_dict(), "rope_parameters": rope, "max_position_embeddings": trained * 4 if kind == "yarn" else trained})
    return ROPE_INIT_FUNCTIONS[kind](scaled, "cpu", seq_len=length)


def rotate(x, positions, theta, factor):                             # x [heads, n, D]
    angle = positions.float()[:, None] * theta
    cos, sin = angle.cos() * factor, angle.sin() * factor
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def key_sets(method, start, end):
    """(query positions, key positions, first key, seen [n, keys]) for each set of keys that this chunk's queries look at."""
    i = torch.arange(start, end)
    if method.startswith("win"):
        first, width = max(0, start - int(method[3:]) + 1), int(method[3:])
    elif method.startswith("sink"):
        width = int(method[4:]) - SINKS
        first = max(SINKS, start - width + 1)
    else:
        first, width = 0, end
    j = torch.arange(first, end)
    sets = [(i, j, first, (j <= i[:, None]) & (j > i[:, None] - width))]
    if method.startswith("sink"):                                    # a full cache sees the sinks from its last place
        z = torch.arange(min(SINKS, end))
        sets.append((i.clamp(max=width + SINKS - 1), z, 0, z <= i[:, None]))
    return sets


def attend(q, keys, values, sets, theta, factor):                    # q [H,n,D], keys and values [G,T,D]; [n,H*D]
    heads, n, width = q.shape
    groups = keys.shape[0]
    total = weight = top = None
    for qi, kj, first, seen in sets:
        k, v = rotate(keys[:, first : first + len(kj)], kj, theta, factor), values[:, first : first + len(kj)]
        hide = torch.zeros(seen.shape).masked_fill_(~seen, float("-inf")).repeat(heads // groups, 1)
        out, lse = flash(rotate(q, qi, theta, factor).reshape(1, groups, -1, width), k[None], v[None], 0.0, False, attn_mask=hide[None, None])
        blind = ~seen.any(-1).repeat(heads // groups)[:, None]       # a query that sees none of this set: the kernel says 0, not -inf
        out, lse = out[0], lse[0][..., None].masked_fill(blind, float("-inf"))
        if total is None:
            total, weight, top = out, torch.ones_like(lse), lse
        else:
            higher = torch.maximum(top, lse)
            old, new = weight * (top - higher).exp(), (lse - higher).exp()
            total, weight, top = (total * old + out * new) / (old + new), old + new, higher
    return total.reshape(heads, n, width).transpose(0, 1).reshape(n, -1)


def split(x, width):                                                 # [n, heads*D] -> [heads, n, D]
    return x.view(len(x), -1, width).transpose(0, 1).contiguous()


@torch.inference_mode()
def losses(model, ids, method, chunk):
    """nll[p] of token p, p >= 1, in nats."""
    c, count = model.config, len(ids)
    keys, values = torch.zeros(2, c.num_hidden_layers, c.num_key_value_heads, count, c.head_dim)
    nll = torch.zeros(count, dtype=torch.float64)
    for start in range(0, count, chunk):
        end = min(start + chunk, count)
        theta, factor = frequencies(c, method, end)
        sets = key_sets(method, start, end)
        x = model.model.embed_tokens(ids[start:end])
        for l, layer in enumerate(model.model.layers):
            h, a = layer.input_layernorm(x), layer.self_attn
            q, keys[l, :, start:end], values[l, :, start:end] = (split(p(h), c.head_dim) for p in (a.q_proj, a.k_proj, a.v_proj))
            x = x + a.o_proj(attend(q, keys[l, :, :end], values[l, :, :end], sets, theta, factor))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        x = model.model.norm(x)
        for b in range(0, len(x), 256):                              # never all of [T,V]
            target = ids[start + b + 1 : start + b + 257]
            nll[start + b + 1 : start + b + 1 + len(target)] = F.cross_entropy(
                model.lm_head(x[b : b + 256])[: len(target)].double(), target, reduction="none")
    return nll


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--book", required=True)
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "smollm2_bible_16k.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer, model = load(args.model)
    ids = read_ids(tokenizer, args.book, args.tokens)

    lines = []
    for method in args.methods.split(","):
        began = time.perf_counter()
        nll = losses(model, ids, method, args.chunk)
        buckets = [{"from": a, "to": b, "nll": round(mean(nll, a, b), 6)} for a, b in zip(EDGES, EDGES[1:]) if b <= args.tokens]
        lines.append(json.dumps({"method": method, "nll": round(mean(nll, 0, args.tokens), 6), "buckets": buckets}))
        print(lines[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
    head = {
        "made_by": "tests/golden/long_losses.py: float32, weights as transformers dequantises them, no BOS; nats a token by position of the predicted token",
        "book_sha256": sha256(args.book), "tokens": args.tokens, "chunk": args.chunk,
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    with open(args.out, "w", encoding="utf-8") as f:                 # one line a method
        f.write(json.dumps(head, indent=1)[:-2] + ',\n "methods": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")
    print("wrote", args.out)


if __name__ == "__main__":
    main()
