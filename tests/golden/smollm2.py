"""Logits, losses and greedy texts of SmolLM2-135M-Instruct from transformers, float32, dequantised from the GGUF.

  smollm2.py --model MODEL.gguf|HF_FOLDER --book bible.txt [--out FOLDER] [--threads N]

Writes smollm2.safetensors (tensors) and smollm2.json (losses, greedy texts, versions). The book is what Debian's
`bible -f Gen1:1-Rev22:21` prints (package bible-kjv). Nothing is put in front of it: the checkpoint adds no BOS.
"""
import argparse, hashlib, json, os, time

# Some virtual machines advertise AMX and cannot run it; oneDNN reads this when torch is loaded.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
import torch, transformers
import torch.nn.functional as F
from safetensors.torch import save_file

ROWS = [0, 63, 255, 511]             # positions whose whole row of logits is kept
COLUMNS, SEED = 64, 20240407         # and this many fixed columns of every row
EDGES = [0, 1024, 2048, 4096, 8192]
CHUNK = 1024
STEPS = 64
PROMPTS = [
    ("plain", "The lighthouse keeper had not seen a ship for eleven days when"),
    ("chat", "Why is the sky blue? Answer in two sentences."),
    ("scripts", 'Text: "Guten Morgen, 世界! 😀🚀" — Брат, мир; naïve café 12345\n\nThe same text again:'),
]


def load(path):
    """Tokenizer and float32 model of a GGUF file or of a Hugging Face folder."""
    transformers.logging.set_verbosity_error()
    where, kind = (os.path.split(path)[0] or ".", {"gguf_file": os.path.basename(path)}) if path.endswith(".gguf") else (path, {})
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, **kind)
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **kind)
    return tokenizer, model.eval()


def read_ids(tokenizer, path, count):
    text = open(path, encoding="utf-8", newline="").read()
    ids = tokenizer(text[: 8 * count], return_tensors="pt", add_special_tokens=False).input_ids[0, :count]  # 8 characters a token is ample
    assert len(ids) == count, f"{path} has only {len(ids)} tokens"
    return ids


def hidden(model, ids, cache):
    return model.model(ids[None], past_key_values=cache, use_cache=True).last_hidden_state[0]


def losses(model, ids):
    """nll[p] of token p, p >= 1, in nats; nll[0] is 0."""
    cache, nll = transformers.DynamicCache(config=model.config), torch.zeros(len(ids), dtype=torch.float64)
    for start in range(0, len(ids), CHUNK):
        h = hidden(model, ids[start : start + CHUNK], cache)
        for b in range(0, len(h), 256):                              # never all of [T,V]
            target = ids[start + b + 1 : start + b + 257]
            logits = model.lm_head(h[b : b + 256])[: len(target)].double()
            nll[start + b + 1 : start + b + 257] = F.cross_entropy(logits, target, reduction="none")
    return nll


def mean(nll, start, end):
    return float(nll[max(start, 1) : end].mean())


def greedy(model, tokenizer, name, prompt):
    text = prompt
    if name == "chat":
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    cache, step, out, gaps = transformers.DynamicCache(config=model.config), torch.tensor(ids), [], []
    for _ in range(STEPS):                                           # <|im_end|> does not stop it
        best = model.lm_head(hidden(model, step, cache)[-1]).topk(2)
        out.append(int(best.indices[0]))
        gaps.append(round(float(best.values[0] - best.values[1]), 6))
        step = best.indices[:1]
    return {"name": name, "prompt": prompt, "text": text, "prompt_ids": ids, "ids": out, "gaps": gaps, "smallest_gap": min(gaps), "continuation": tokenizer.decode(out)}


def sha256(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--book", required=True)
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    began = time.perf_counter()
    tokenizer, model = load(args.model)
    ids = read_ids(tokenizer, args.book, EDGES[-1])

    short = ids[: ROWS[-1] + 1]
    logits = model(short[None]).logits[0]                            # [512,V]
    columns = torch.randperm(logits.shape[1], generator=torch.Generator().manual_seed(SEED))[:COLUMNS].sort().values
    best = logits.max(-1)
    nll = losses(model, ids)
    tensors = {
        "ids": ids,                                                  # [8192] the book's first tokens
        "rows": torch.tensor(ROWS), "logits": logits[ROWS],          # [4], [4,V]
        "columns": columns, "column_logits": logits[:, columns],     # [64], [512,64]
        "max": best.values, "argmax": best.indices,                  # [512], [512]
        "logsumexp": logits.double().logsumexp(-1).float(),          # [512]
        "nll": nll.float(),                                          # [8192] of token p, the first is 0
    }
    result = {
        "model_sha256": sha256(args.model) if os.path.isfile(args.model) else None,
        "book_sha256": sha256(args.book),
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tensors": {name: list(t.shape) for name, t in tensors.items()},
        "nll": [{"tokens": n, "nll": mean(nll, 0, n)} for n in (2048, 8192)],
        "buckets": [{"from": a, "to": b, "nll": mean(nll, a, b)} for a, b in zip(EDGES, EDGES[1:])],
        "greedy": [greedy(model, tokenizer, *p) for p in PROMPTS],
    }
    # How far these float32 logits are from the same forward in float64: what a bound on another float32 forward can ask for.
    exact = model.double()(short[None]).logits[0]
    p = exact.log_softmax(-1)
    result["float64"] = {
        "largest_difference": float((logits - exact).abs().max()),
        "mean_kl": float((p.exp() * (p - logits.double().log_softmax(-1))).sum(-1).mean()),
    }

    save_file({k: t.contiguous() for k, t in tensors.items()}, os.path.join(args.out, "smollm2.safetensors"))
    with open(os.path.join(args.out, "smollm2.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, ensure_ascii=False, indent=1)
        f.write("\n")
    for name in ("smollm2.safetensors", "smollm2.json"):
        print("wrote", name, os.path.getsize(os.path.join(args.out, name)), "bytes")
    print(json.dumps({k: result[k] for k in ("nll", "buckets", "float64")}))
    for g in result["greedy"]:
        print(len(g["prompt_ids"]), g["smallest_gap"], repr(g["continuation"]))
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
