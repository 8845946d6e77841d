#!/usr/bin/env python3
# The same training step in plain PyTorch, for docs/results/train-speed.md: a Llama-shaped byte model with Infini-attention (linear rule, all
# segments at once), bf16 under autocast, fused AdamW, rows of random bytes.
#   bench/train_speed.py --layers 8 --width 512 --heads 8 --forward 1408 --segment 512 --rows 16 --length 8192 [--compile] [--steps 30]
import argparse
import time

import torch
from torch import nn
from torch.nn import functional as F


def sigma(x):
    return F.elu(x) + 1


class Layer(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.a = a
        E = a.width
        self.norms = nn.ModuleList(nn.RMSNorm(E, eps=1e-5) for _ in range(2))
        self.q, self.k, self.v, self.o = (nn.Linear(E, E, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(E, a.forward, bias=False) for _ in range(2))
        self.down = nn.Linear(a.forward, E, bias=False)
        self.beta = nn.Parameter(torch.zeros(a.heads))

    def attend(self, x, cos, sin):
        B, T, E = x.shape
        H, N = self.a.heads, self.a.segment
        S, D = T // N, E // H
        q, k, v = (p(x).view(B, S, N, H, D).transpose(2, 3) for p in (self.q, self.k, self.v))  # [B,S,H,N,D]

        def turned(y):
            half = D // 2
            return (y * cos + torch.cat([-y[..., half:], y[..., :half]], -1) * sin).to(v.dtype)

        local = F.scaled_dot_product_attention(*(y.reshape(B * S, H, N, D) for y in (turned(q), turned(k), v)), is_causal=True)
        with torch.autocast(x.device.type, enabled=False):  # the memory in f32
            sq, sk, wide = sigma(q.float()), sigma(k.float()), v.float()
            M = torch.cumsum(sk.transpose(-1, -2) @ wide, 1)  # [B,S,H,D,D]
            z = torch.cumsum(sk.sum(-2), 1)  # [B,S,H,D]
            M, z = (F.pad(y[:, :-1], [0, 0] * (y.dim() - 2) + [1, 0]) for y in (M, z))  # before each segment
            read = (sq @ M) / (sq @ z.unsqueeze(-1)).clamp_min(1e-20)
            g = torch.sigmoid(self.beta).view(1, 1, H, 1, 1) * (torch.arange(S, device=x.device) > 0).view(1, S, 1, 1, 1)
            out = g * read + (1 - g) * local.view(B, S, H, N, D).float()
        return self.o(out.to(v.dtype).transpose(2, 3).reshape(B, T, E))

    def forward(self, x, cos, sin):
        x = x + self.attend(self.norms[0](x), cos, sin)
        h = self.norms[1](x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embedding, self.head = nn.Embedding(256, a.width), nn.Linear(a.width, 256, bias=False)
        self.layers, self.norm = nn.ModuleList(Layer(a) for _ in range(a.layers)), nn.RMSNorm(a.width, eps=1e-5)
        D = a.width // a.heads
        angle = torch.outer(torch.arange(a.segment), 10000.0 ** (-torch.arange(0, D, 2) / D)).repeat(1, 2)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


parser = argparse.ArgumentParser()
for name, value in [("layers", 8), ("width", 512), ("heads", 8), ("forward", 1408), ("segment", 512), ("rows", 16), ("length", 8192), ("steps", 30)]:
    parser.add_argument("--" + name, type=int, default=value)
parser.add_argument("--compile", action="store_true")
a = parser.parse_args()
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
torch.set_float32_matmul_precision("high")
model = Model(a).to(device)
step_loss = torch.compile(model) if a.compile else model
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=device == "cuda")
times = []
for step in range(a.steps):
    ids = torch.randint(256, (a.rows, a.length + 1), device=device)
    begin = time.perf_counter()
    with torch.autocast(device, torch.bfloat16):
        loss = step_loss(ids[:, :-1], ids[:, 1:])
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
    times.append(time.perf_counter() - begin)
    if (step + 1) % 10 == 0:
        recent = sorted(times[-10:])
        print(f"step {step + 1}: loss {loss.item():.4f}, {a.rows * a.length / recent[5]:,.0f} tokens/s", flush=True)
count = sum(p.numel() for p in model.parameters())
print(f"{count:,} parameters, torch {torch.__version__}, {'compiled' if a.compile else 'eager'}, {torch.cuda.get_device_name() if device == 'cuda' else 'cpu'}")
