"""Frequency tables of the rotary methods: float64 from the formulas, float32 from transformers' ROPE_INIT_FUNCTIONS.

  rope_tables.py [--out rope_tables.json]

A case is {method, head_dim, base, original, factor, ...}, attention_factor (on cos and sin both), inv_freq [D/2] in float64 and,
where transformers has the method, inv_freq_f32. YaRN follows the code (a ramp over pairs), not the paper (over turns).
The script stops if a formula leaves transformers or a number known beforehand (KNOWN).
"""
import argparse, json, math, os

import torch, transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding


def default(d, b):
    return [b ** (-2 * m / d) for m in range(d // 2)]


def linear(d, b, original, factor):
    return [t / factor for t in default(d, b)]


def dynamic_base(d, b, original, factor, length):
    return b * (factor * max(length, original) / original - (factor - 1)) ** (d / (d - 2))


def dynamic(d, b, original, factor, length):
    return default(d, dynamic_base(d, b, original, factor, length))


def yarn_range(d, b, original, fast=32, slow=1):
    pair = lambda turns: d * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(b))
    return max(math.floor(pair(fast)), 0), min(math.ceil(pair(slow)), d - 1)


def yarn(d, b, original, factor):
    low, high = yarn_range(d, b, original)
    ramp = [min(max((m - low) / (high - low or 0.001), 0), 1) for m in range(d // 2)]
    return [t * (1 - r) + t / factor * r for t, r in zip(default(d, b), ramp)]


def yarn_scale(factor):
    return 0.1 * math.log(factor) + 1 if factor > 1 else 1.0


def llama3(d, b, original, factor, low=1, high=4):
    def scaled(t):
        turns = original * t / (2 * math.pi)
        keep = min(max((turns - low) / (high - low), 0), 1)          # 0: divided by the factor, 1: as it was
        return (1 - keep) * t / factor + keep * t
    return [scaled(t) for t in default(d, b)]


def ntk_base(d, b, factor):                                          # bloc97
    return b * factor ** (d / (d - 2))


def ntk(d, b, original, factor):
    return default(d, ntk_base(d, b, factor))


def ntk_old(d, b, original, factor):                                 # Su: base times factor
    return default(d, b * factor)


def divisors(d, factor, exponent):                                   # Su: exp(a m^c), m from 1; c = 1 is "fixed", c = 0 is linear
    a = math.log(factor) / (d // 2) ** exponent
    return [math.exp(a * m ** exponent) for m in range(1, d // 2 + 1)]


def ntk_fixed(d, b, original, factor):
    return ntk_mixed(d, b, original, factor, 1)


def ntk_mixed(d, b, original, factor, exponent):
    return [t / v for t, v in zip(default(d, b), divisors(d, factor, exponent))]


def abf(d, b, original, factor, base):
    return default(d, base)


def dynamic_yarn(d, b, original, factor, length):
    return yarn(d, b, original, max(1, length / original))


def ntk_by_parts(d, b, original, factor):                            # bloc97's constants: 1.25 and 0.75 turns, 16 and 2 turns
    def ramp(fast, slow):
        low, high = yarn_range(d, b, original, fast, slow)
        return [min(max((m - low) / (high - low or 0.001), 0), 1) for m in range(d // 2)]
    out = []
    for t, i, n, slow, fast in zip(default(d, b), linear(d, b, original, factor), ntk(d, b, original, factor), ramp(1.25, 0.75), ramp(16, 2)):
        mixed = i * slow + n * (1 - slow)
        out.append(mixed * fast + t * (1 - fast))
    return out


def resonance(d, b, original, factor, over):
    return [2 * math.pi / round(2 * math.pi / t) for t in globals()[over](d, b, original, factor)]


def longrope_lists(d):                                               # any rising lists will do
    return [1 + 0.01 * m for m in range(d // 2)], [1 + 7 * (m / (d // 2 - 1)) ** 1.5 for m in range(d // 2)]


def longrope(d, b, original, factor, length):
    return [t / v for t, v in zip(default(d, b), longrope_lists(d)[length > original])]


def attention_factor(method, original, factor, extra):
    if method == "yarn" or extra.get("over") == "yarn":
        return yarn_scale(factor)
    if method == "dynamic_yarn":
        return yarn_scale(max(1, extra["length"] / original))
    return math.sqrt(1 + math.log(factor) / math.log(original)) if method == "longrope" else 1.0


SHAPES = [(64, 1e4, 512), (64, 1e4, 2048), (128, 1e4, 4096), (64, 1e5, 8192), (128, 5e5, 8192), (128, 1e6, 32768)]
PEERS = ("default", "linear", "dynamic", "yarn", "llama3", "longrope")   # what transformers has
TRANSFORMERS_ERROR = 1e-6             # relative, of a float32 power and a few float32 operations; 4.6e-7 is met


def cases():
    for d, b, n in SHAPES:
        yield "default", d, b, n, 1.0, {}
        for f in (2.0, 4.0, 8.0):
            yield "linear", d, b, n, f, {}
        for f, times in ((1.0, 0.5), (1.0, 1), (1.0, 2), (1.0, 4), (2.0, 2), (2.0, 4), (4.0, 3)):
            yield "dynamic", d, b, n, f, {"length": int(n * times)}
        for f in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
            yield "yarn", d, b, n, f, {}
        for f in (4.0, 8.0, 32.0):
            yield "llama3", d, b, n, f, {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
        for name in ("ntk", "ntk_old", "ntk_fixed"):
            yield name, d, b, n, 8.0, {}
        for c in (0.625, 0.75):
            yield "ntk_mixed", d, b, n, 8.0, {"exponent": c}
        yield "abf", d, b, n, 1.0, {"new_base": 5e5}
        for f in (2.0, 8.0):
            yield "ntk_by_parts", d, b, n, f, {}
            for over in ("ntk", "yarn"):
                yield "resonance", d, b, n, f, {"over": over}
        for times in (0.5, 1, 3):
            yield "dynamic_yarn", d, b, n, 1.0, {"length": int(n * times)}
            yield "longrope", d, b, n, 8.0, {"length": int(n * times)}


def formula(method, d, b, n, f, extra):
    if method == "default":
        return default(d, b)
    return globals()[method](d, b, n, f, *extra.values())


def peer(method, d, b, n, f, extra):
    """transformers' float32 table and attention factor."""
    if method == "default":                                          # the one that is not in the table
        config = transformers.LlamaConfig(head_dim=d, rope_parameters={"rope_type": "default", "rope_theta": b})
        rotary = LlamaRotaryEmbedding(config)
        return rotary.inv_freq, rotary.attention_scaling
    rope = {"rope_type": method, "rope_theta": b, "factor": f}
    if method in ("yarn", "llama3", "longrope"):
        rope["original_max_position_embeddings"] = n
    if method == "longrope":
        rope["short_factor"], rope["long_factor"] = longrope_lists(d)
    rope.update({k: v for k, v in extra.items() if k != "length"})
    longest = int(n * f) if method in ("yarn", "llama3", "longrope") else n
    config = transformers.LlamaConfig(head_dim=d, hidden_size=4 * d, num_attention_heads=4, max_position_embeddings=longest, rope_parameters=rope)
    return ROPE_INIT_FUNCTIONS[method](config, "cpu", seq_len=extra.get("length"))


def known():
    """(what, value, the digits published for it) from Su's posts, the YaRN code and Meta's Llama 3.1 code."""
    yield "ntk base", ntk_base(128, 1e4, 8), "82684.6"
    yield "ntk base", ntk_base(64, 1e4, 8), "85550.4"
    yield "lambda", 8 ** (2 / 128), "1.033025"
    yield "lambda", 8 ** (2 / 64), "1.067140"
    for c, a, at in ((1, None, "1.03302 1.06714 2.82843 8"), (0.625, "0.1545554", "1.167139 1.269162 3.85107 8"), (0.75, "0.0918992", "1.096254 1.167139 3.443345 8")):
        if a:
            yield "mixed a", math.log(8) / 64 ** c, a
        for m, digits in zip((1, 2, 32, 64), at.split()):
            yield f"mixed {c} divisor {m}", divisors(128, 8, c)[m - 1], digits
    for shape, digits in {(64, 1e4, 512): "3/16", (64, 1e4, 2048): "8/21", (128, 1e4, 2048): "16/41", (128, 1e4, 4096): "20/46",
                          (128, 1e6, 32768): "23/40", (128, 5e5, 8192): "18/35"}.items():
        yield f"yarn range {shape}", "{}/{}".format(*yarn_range(*shape)), digits
    for f, digits in {2: "1.069315", 4: "1.138629", 8: "1.207944", 16: "1.277259", 32: "1.346574"}.items():
        yield f"yarn scale {f}", yarn_scale(f), digits
    yield "yarn scale 8, squared", yarn_scale(8) ** 2, "1.459129"
    for m, digits in {0: "1", 20: "0.0562341325", 21: "0.0470579195", 33: "0.00487104932", 45: "2.44315266e-4", 46: "1.66690179e-4", 63: "1.44347748e-5"}.items():
        yield f"yarn pair {m}", yarn(128, 1e4, 4096, 8)[m], digits
    for length, f, digits in ((8192, 1, "20221.3"), (8192, 2, "30527.7"), (16384, 2, "72195.9")):
        yield f"dynamic base {length}", dynamic_base(128, 1e4, 4096, f, length), digits
    for m, digits in {28: "0.00321144599", 29: "0.00216657076", 30: "0.00137189357", 31: "8.56751413e-4", 32: "5.24846161e-4", 34: "1.78507813e-4",
                      35: "9.55621235e-5", 36: "7.78465527e-5", 63: "3.06892599e-7"}.items():
        yield f"llama3 pair {m}", llama3(128, 5e5, 8192, 8)[m], digits


def agrees(value, digits):
    """To the last published digit."""
    if isinstance(value, str):
        return value == digits
    mantissa, _, exponent = digits.partition("e")
    last = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(value - float(digits)) <= (last if "." in digits else 1e-9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "rope_tables.json"))
    args = parser.parse_args()

    published = []
    for what, value, digits in known():
        assert agrees(value, digits), (what, value, digits)
        published.append({"what": what, "value": value, "published": digits})

    lines, worst = [], 0.0
    for method, d, b, n, f, extra in cases():
        case = {"method": method, "head_dim": d, "base": b, "original": n, "factor": f, **extra,
                "attention_factor": attention_factor(method, n, f, extra), "inv_freq": formula(method, d, b, n, f, extra)}
        if method in PEERS:
            table, scale = peer(method, d, b, n, f, extra)
            case["inv_freq_f32"] = [float(f"{x:.9g}") for x in table.tolist()]           # 9 digits hold a float32
            error = max(abs(x / y - 1) for x, y in zip(case["inv_freq"], table.double().tolist()))
            assert error < TRANSFORMERS_ERROR and abs(scale - case["attention_factor"]) < 1e-12, (case, error, scale)
            worst = max(worst, error)
        lines.append(json.dumps(case))
    with open(args.out, "w") as out:                                 # one line a case
        out.write('{"made_with": ' + json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}))
        out.write(',\n"published": [\n' + ",\n".join(map(json.dumps, published)) + '],\n"cases": [\n' + ",\n".join(lines) + "]}\n")
    print(f"wrote {args.out}: {len(lines)} cases, {os.path.getsize(args.out)} bytes; {len(published)} published numbers agree; "
          f"largest relative difference to transformers' float32 {worst:.1e}")


if __name__ == "__main__":
    main()
