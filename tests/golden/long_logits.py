"""Logits past the trained length under transformers' own rope scalings, float32: the reference of tests/model/long_logits_test.cpp.

  long_logits.py --model MODEL.gguf|HF_FOLDER --book BOOK.txt [--tokens 12288] [--methods linear,...] [--out FOLDER] [--threads N]

linear, yarn, llama3   factor 4 from 8,192 (llama3: low 1, high 4); the text comes in chunks of 1,024 through transformers' cache
longrope   a short list of ones and a long one, in one call without a cache: transformers chooses the list for each call by its last
           position, so chunks would leave keys of the short list in the cache
dynamic    factor 1 (the base follows the length), in one call without a cache: every key is turned by the base of the whole length
yarn64, llama364, longrope64, dynamic64   the same with angles (position times frequency) in float64: in float32, as transformers has
           them, they are wrong by up to 5e-4 radians at these positions
stale      dynamic in chunks of 1,024 through transformers' cache, where each key stays turned by the base of the chunk it came in

Writes long_logits.safetensors (of each method the last rows at some columns, their largest logits and log-sum-exps, and the whole
last row) and long_logits.json (losses past the trained length). Methods that are not asked for stay as they are in both files.
"""
import argparse, json, os, time

from smollm2 import hidden, load, read_ids, sha256                   # first: it sets oneDNN's instruction set
import torch, transformers
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

CHUNK, ROWS, COLUMNS, SEED, TRAINED = 1024, 4, 64, 20240407, 8192
EDGES = [8192, 9216, 10240, 11264, 12288]
# Of LongRoPE's kind for heads of 64, drawn by hand; the list of bench/extend.sh.
LONG = [1.0] * 10 + [1.02, 1.06, 1.12, 1.2, 1.32, 1.5, 1.75, 2.1, 2.6, 3.2, 4, 4.3, 4.5, 4.7, 4.8, 4.9] + [5.0] * 6
SCALED = {"factor": 4.0, "original_max_position_embeddings": TRAINED}
METHODS = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "yarn": {"rope_type": "yarn", **SCALED},
    "llama3": {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, **SCALED},
    "longrope": {"rope_type": "longrope", "short_factor": [1.0] * 32, "long_factor": LONG, **SCALED},
    "dynamic": {"rope_type": "dynamic", "factor": 1.0},
    "stale": {"rope_type": "dynamic", "factor": 1.0},
}
METHODS |= {f"{name}64": METHODS[name] for name in ("yarn", "llama3", "longrope", "dynamic")}
IN_ONE_CALL = ("longrope", "longrope64", "dynamic", "dynamic64")


def with_exact_angles(rotary):
    """The rotation with its own float32 frequencies and float64 angles."""
    plain = rotary.forward

    def forward(x, position_ids):
        plain(x, position_ids)                                       # chooses the frequencies where they follow the length
        angles = position_ids[..., None].double() * rotary.inv_freq.double()
        both = torch.cat((angles, angles), -1)
        return (both.cos() * rotary.attention_scaling).float(), (both.sin() * rotary.attention_scaling).float()

    rotary.forward = forward


def rotate_by(model, method):
    """Gives the model a rotation of transformers' own, as a config.json with these rope_parameters would."""
    config = model.config.to_dict()
    config["rope_parameters"] = {"rope_theta": config["rope_parameters"]["rope_theta"], **METHODS[method]}
    if "original_max_position_embeddings" in METHODS[method]:
        config["max_position_embeddings"] = 4 * TRAINED
    scaled = transformers.LlamaConfig(**{k: v for k, v in config.items() if k != "model_type"})
    model.model.rotary_emb = type(model.model.rotary_emb)(scaled)
    if method.endswith("64"):
        with_exact_angles(model.model.rotary_emb)


def states(model, ids, method):
    """Hidden states [T,E] after the last norm."""
    if method in IN_ONE_CALL:
        return model.model(ids[None], use_cache=False).last_hidden_state[0]
    cache = transformers.DynamicCache(config=model.config)
    return torch.cat([hidden(model, part, cache) for part in ids.split(CHUNK)])


def losses(model, h, ids):
    """Mean nll in nats of the tokens at EDGES[i] to EDGES[i+1]."""
    out = []
    for a, b in zip(EDGES, EDGES[1:]):
        nll = [F.cross_entropy(model.lm_head(h[n - 1 : n + 255]).double(), ids[n : n + 256]) for n in range(a, b, 256)]  # never all of [T,V]
        out.append({"from": a, "to": b, "nll": round(float(torch.stack(nll).mean()), 6)})
    return out


def save(folder, head, tensors, lines):
    """Merges with what other methods have there."""
    path = os.path.join(folder, "long_logits.safetensors")
    old = load_file(path) if os.path.exists(path) else {}
    save_file({k: t.contiguous() for k, t in {**old, **tensors}.items()}, path)
    path = os.path.join(folder, "long_logits.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            lines = {m["method"]: json.dumps(m) for m in json.load(f)["methods"]} | lines
    with open(path, "w", encoding="utf-8") as f:                     # one line a method
        f.write(json.dumps(head, indent=1)[:-2] + ',\n "methods": [\n  ' + ",\n  ".join(lines[m] for m in METHODS if m in lines) + "\n ]\n}\n")


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--book", required=True)
    parser.add_argument("--tokens", type=int, default=12288)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer, model = load(args.model)
    ids = read_ids(tokenizer, args.book, args.tokens)

    head = {
        "made_by": "tests/golden/long_logits.py: float32, weights as transformers dequantises them, no BOS; nats a token by position of the predicted token",
        "book_sha256": sha256(args.book), "tokens": args.tokens, "chunk": CHUNK,
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    columns = torch.randperm(model.config.vocab_size, generator=torch.Generator().manual_seed(SEED))[:COLUMNS].sort().values
    for method in args.methods.split(","):
        began = time.perf_counter()
        rotate_by(model, method)
        h = states(model, ids, method)
        line = json.dumps({"method": method, "buckets": losses(model, h, ids)})
        logits = model.lm_head(h[-ROWS:])                            # [4,V]
        save(args.out, head, {
            "columns": columns,
            f"{method}.columns": logits[:, columns],                 # [4,64]
            f"{method}.max": logits.amax(-1),                        # [4]
            f"{method}.logsumexp": logits.double().logsumexp(-1).float(),  # [4]
            f"{method}.last": logits[-1],                            # [V]
        }, {method: line})
        print(line, f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
