# Tiny checkpoints with the logits that transformers 5.23 computes from them in f32: python tests/golden/checkpoints.py writes models/.
# Every weight is a whole number from -127 to 127 over 256, so F32, F16, BF16 and Q8_0 (with scales of 1/256) hold the same weights:
# all files of one folder give the logits in its logits.safetensors: input_ids [T], rows [R] (positions), logits [R,V].
import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM

MODELS = Path(__file__).with_name("models")
VOCABULARY, SPECIALS = 320, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
TEXT = "the king went up into the house of the lord, and the priests and the elders of the land with him. " * 4
BASE = dict(hidden_act="silu", vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=64, tie_word_embeddings=True,
            bos_token_id=1, eos_token_id=2)
SCALED = dict(BASE, model_type="llama", max_position_embeddings=128)


def tokenizer():
    out = Tokenizer(models.BPE())
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    out.decoder = decoders.ByteLevel()
    special = [AddedToken(name, special=True, normalized=False) for name in SPECIALS]
    out.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False,
                                                         initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    for i in range(out.get_vocab_size(), VOCABULARY):
        out.add_tokens([f"filler{i}"])
    assert out.get_vocab_size() == VOCABULARY
    return out


def random_weights(config, seed):
    """Hugging Face names to f32 tensors whose values are n / 256."""
    random = np.random.default_rng(seed)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    out = {}
    for name, parameter in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        whole = np.rint(random.standard_normal(tuple(parameter.shape)) * 46)
        if name.endswith("norm.weight"):
            whole = np.rint(100 + random.standard_normal(tuple(parameter.shape)) * 8)
        out[name] = torch.from_numpy((np.clip(whole, -127, 127) / 256).astype("f4"))
    return out


def write_tokenizer(folder):
    text = json.loads(TOKENIZER.to_str())
    (folder / "tokenizer.json").write_text(json.dumps(text, ensure_ascii=False, separators=(",", ":")))
    config = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<|im_start|>", eos_token="<|im_end|>", chat_template=TEMPLATE)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    (folder / "generation_config.json").write_text(json.dumps(dict(eos_token_id=[2, 0])))


def write_safetensors(folder, weights, dtype, parts):
    weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
    names = sorted(weights)
    if parts == 1:
        return save_file(weights, folder / "model.safetensors", {"format": "pt"})
    files = {name: f"model-{i * parts // len(names) + 1:05}-of-{parts:05}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in names if files[name] == file}, folder / file, {"format": "pt"})
    total = sum(tensor.nbytes for tensor in weights.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps(dict(metadata=dict(total_size=total), weight_map=files), indent=1))


def interleaved(weight, heads):
    """Rows of a head as llama's GGUF has them: the halves (j, j + D/2) become neighbours."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


def q8_0(weight):
    """Blocks of 32 with a scale of 1/256: exact for our weights."""
    blocks = np.rint(weight.reshape(-1, 32) * 256).astype(np.int8).view(np.uint8)
    scale = np.full((len(blocks), 1), 1 / 256, dtype="<f2").view(np.uint8)
    return np.concatenate([scale, blocks], axis=1).reshape(*weight.shape[:-1], -1)


def write_gguf(path, config, weights, storage, scaling):
    name = config.model_type
    out = gguf.GGUFWriter(path, name)
    out.add_name("a name inside")
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if width != config.hidden_size // config.num_attention_heads:
        out.add_key_length(width)
        out.add_value_length(width)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_rope_dimension_count(width)
    out.add_vocab_size(VOCABULARY)
    if scaling in ("linear", "yarn"):
        out.add_rope_scaling_type(gguf.RopeScalingType(scaling))
        out.add_rope_scaling_factor(config.rope_parameters["factor"])
        out.add_rope_scaling_orig_ctx_len(32)
    if scaling == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_divisors(config, width))
    vocabulary = sorted(TOKENIZER.get_vocab().items(), key=lambda item: item[1])
    merges = json.loads(TOKENIZER.to_str())["model"]["merges"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list([token for token, _ in vocabulary])
    out.add_token_types([3 if token in SPECIALS else 4 if token.startswith("filler") else 1 for token, _ in vocabulary])
    out.add_token_merges([" ".join(merge) for merge in merges])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(False)
    out.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, name.upper()), config.num_hidden_layers)
    for full, tensor in weights.items():
        weight = tensor.numpy()
        if name == "llama" and ".q_proj." in full:
            weight = interleaved(weight, config.num_attention_heads)
        if name == "llama" and ".k_proj." in full:
            weight = interleaved(weight, config.num_key_value_heads)
        target = names.get_name(full, try_suffixes=(".weight", ".bias"))
        if weight.ndim == 1 or storage == "F32":
            out.add_tensor(target, weight)
        elif storage == "F16":
            out.add_tensor(target, weight.astype("f2"))
        else:
            out.add_tensor(target, q8_0(weight), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def llama3_divisors(config, width):
    """As llama.cpp's convert_hf_to_gguf writes them."""
    rope, out = config.rope_parameters, []
    original, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    for i in range(width // 2):
        wavelength = 2 * np.pi * rope["rope_theta"] ** (2 * i / width)
        smooth = (original / wavelength - low) / (high - low)
        inside = original / high <= wavelength <= original / low
        out.append(1 / ((1 - smooth) / rope["factor"] + smooth) if inside else 1 if wavelength < original / high else rope["factor"])
    return np.array(out, dtype="f4")


def logits_of(folder, ids, **options):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **options).eval()
    with torch.no_grad():
        return model(ids[None]).logits[0]


def write(name, settings, seed, dtype=torch.bfloat16, parts=1, storage=None, length=48, step=1):
    folder = MODELS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    classes = dict(llama="LlamaForCausalLM", mistral="MistralForCausalLM", qwen2="Qwen2ForCausalLM", qwen3="Qwen3ForCausalLM")
    settings = dict(architectures=[classes[settings["model_type"]]], **settings)
    (folder / "config.json").write_text(json.dumps(settings, indent=1))
    write_tokenizer(folder)
    config = AutoConfig.from_pretrained(folder)
    weights = random_weights(config, seed)
    write_safetensors(folder, weights, dtype, parts)
    ids = torch.from_numpy(np.random.default_rng(48).integers(0, VOCABULARY, length))
    logits = logits_of(folder, ids)
    rows = torch.arange(step - 1, length, step)
    assert logits.std() > 0.3 and torch.isfinite(logits).all()
    if storage:
        rope = config.rope_parameters["rope_type"]
        write_gguf(folder / "model.gguf", config, weights, storage, rope)
        if rope == "default" and name != "qwen3":  # transformers reads no scaling from GGUF, and no head width for qwen3
            same = logits_of(folder, ids, gguf_file="model.gguf")
            assert (same - logits).abs().max() < 1e-4, name
    save_file(dict(input_ids=ids, rows=rows, logits=logits[rows].contiguous()), folder / "logits.safetensors")
    print(f"{name}: {sum(file.stat().st_size for file in folder.iterdir())} bytes, logits {logits.std():.2f}")


TOKENIZER = tokenizer()
write("llama", dict(BASE, model_type="llama", tie_word_embeddings=False), 1, dtype=torch.float32, storage="Q8_0")
write("mistral", dict(BASE, model_type="mistral", tie_word_embeddings=False, head_dim=16, sliding_window=20), 2, parts=2)
write("qwen2", dict(BASE, model_type="qwen2", sliding_window=8, use_sliding_window=False, rope_theta=1000000.0), 3, dtype=torch.float16,
      storage="F16")
write("qwen3", dict(BASE, model_type="qwen3", head_dim=32), 4, parts=3, storage="Q8_0")
long = dict(seed=5, length=96, step=6)
write("llama-linear", dict(SCALED, rope_scaling=dict(type="linear", factor=4.0)), storage="F16", **long)
write("llama-dynamic", dict(SCALED, max_position_embeddings=32, rope_scaling=dict(type="dynamic", factor=2.0)), **long)
write("llama-yarn", dict(SCALED, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)), storage="Q8_0",
      **long)
new = dict(SCALED, rope_parameters=dict(rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                        original_max_position_embeddings=32))
del new["rope_theta"]
write("llama-llama3", new, storage="Q8_0", **long)
