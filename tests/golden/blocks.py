# Random blocks of every storage type with their weights in f32 by PyPI gguf 0.19: python tests/golden/blocks.py writes blocks.bin.
# Little-endian: for each type u32 length of its name, the name, u32 bytes, the blocks, u32 weights, the weights as f32.
import struct
from pathlib import Path

import gguf
import numpy as np

T = gguf.GGMLQuantizationType
TYPES = [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2],
          T.Q5_K: [0, 2], T.Q6_K: [208]}
random = np.random.default_rng(20260101)


def finite_halves(count):
    """Every kind of finite f16: normal, subnormal, zero, both signs."""
    bits = random.integers(0, 1 << 16, 4 * count + 64, dtype=np.uint16)
    bits[:8] = [0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF]
    bits = bits[(bits & 0x7C00) != 0x7C00][:count]
    return bits.view(np.uint8).reshape(count, 2)


with open(Path(__file__).with_name("blocks.bin"), "wb") as out:
    for kind in TYPES:
        values, size = gguf.GGML_QUANT_SIZES[kind]
        if kind == T.F32:
            blocks = random.standard_normal(256).astype("<f4").view(np.uint8).reshape(256, 4)
        elif kind == T.BF16:
            blocks = random.standard_normal(256).astype("<f4").view(np.uint8).reshape(256, 4)[:, 2:].copy()
        elif kind == T.F16:
            blocks = finite_halves(512)
        else:
            blocks = random.integers(0, 256, (24 if values == 32 else 4, size), dtype=np.uint8)
            for at in SCALES[kind]:
                blocks[:, at : at + 2] = finite_halves(len(blocks))
        weights = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype("<f4").reshape(-1)
        assert len(weights) == len(blocks) * values and np.isfinite(weights).all()
        name = kind.name.encode()
        out.write(struct.pack("<I", len(name)) + name)
        out.write(struct.pack("<I", blocks.size) + blocks.tobytes())
        out.write(struct.pack("<I", weights.size) + weights.tobytes())
