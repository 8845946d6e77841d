# 200 steps of plain PyTorch on transformers' Llama: python tests/golden/training.py writes training.json, the loss of every step.
# Weights and batches come from a rule that tests/train/golden_test.cpp follows too, so that only the losses are kept.
import json
import math
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

STEPS, RATE, WARMUP, LEAST, DECAY = 200, 3e-3, 20, 0.1, 0.1
MASK = (1 << 64) - 1


def numbers(seed, count):
    """Whole numbers below 2^31 from Knuth's linear congruential generator."""
    x, out = (seed * 0x9E3779B97F4A7C15 + 1) & MASK, []
    for _ in range(count):
        x = (x * 6364136223846793005 + 1442695040888963407) & MASK
        out.append(x >> 33)
    return out


def weights(seed, shape):
    values = torch.tensor(numbers(seed, math.prod(shape)), dtype=torch.float64) / 2**31 * 2 - 1
    return (values * 0.1).float().view(shape)


def batch(number, rows=4, length=64):
    """A rule with some noise, as tests/train/tiny.h makes it."""
    x, ids = (number * 0x9E3779B97F4A7C15 + 1) & MASK, []
    for i in range(rows * (length + 1)):
        x = (x * 6364136223846793005 + 1442695040888963407) & MASK
        ids.append((x >> 33) % 64 if i % (length + 1) < 2 or x >> 60 == 0 else (ids[-1] * 5 + 3) % 64)
    return torch.tensor(ids).view(rows, length + 1)


def rate(step):
    if step <= WARMUP:
        return RATE * step / WARMUP
    return RATE * (LEAST + (1 - LEAST) * (1 + math.cos((step - WARMUP) / (STEPS - WARMUP) * math.pi)) / 2)


torch.set_num_threads(1)
config = LlamaConfig(vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=8, rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=256,
                     tie_word_embeddings=False)
model = LlamaForCausalLM(config).float()
with torch.no_grad():
    for seed, (name, parameter) in enumerate(sorted(model.named_parameters())):
        parameter.copy_(weights(seed, parameter.shape) + (1 if parameter.dim() == 1 else 0))
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() == 1]
optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}], lr=RATE,
                              betas=(0.9, 0.95), eps=1e-8)
losses = []
for step in range(1, STEPS + 1):
    ids = batch(step - 1)
    logits = model(ids[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 256), ids[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    optimizer.step()
    losses.append(loss.item())
with open(Path(__file__).with_name("training.json"), "w") as out:
    json.dump({"torch": torch.__version__, "losses": [round(x, 7) for x in losses]}, out)
print(losses[0], losses[99], losses[-1])
