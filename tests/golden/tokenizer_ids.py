"""Makes tokenizer_ids.json, tokenizer_chats.json and the small vocabularies tokenizer_*.json, tokenizer_llama2c.bin in this folder.

Ids come from PyPI tokenizers 0.23.3, sentencepiece 0.2.3, transformers 5.23.0 (chat templates), gguf 0.19.0.
  python tests/golden/tokenizer_ids.py MODEL.gguf BIBLE.txt
The book only trains the small vocabularies and is encoded whole; it is what Debian's `bible -f Gen1:1-Rev22:21` prints.
"""

import io
import json
import pathlib
import random
import struct
import sys

import sentencepiece
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tokenizer_chats import CHATS, CONVERSATIONS

HERE = pathlib.Path(__file__).parent
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
    "accents": "àéîõüßøłñçÀÉÎÕÜ",
    "cjk": "中文字符天地玄黄宇宙洪荒日本語テスト한국어",
    "other": "привет мирαβγδεأبتثابגדहिन्दीไทย",
    "marks": "e\u0301a\u0308n\u0303o\u0302\u0323\u1100\u1161\u11a8\uac00\u11a8\u0915\u093c\u212b\u2126\ufb01",
    "emoji": "😀🎉👩\u200d👩\u200d👧🇩🇪👍🏽❤\ufe0f🤖",
    "digits": "0123456789٣४五½²Ⅷ",
    "spaces": "  \t\n\r\u0085\u00a0\u1680\u180e\u2003\u2028\u2029\u202f\u205f\u3000\u200b",
    "signs": ".,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`«»—…₂°§",
    "rare": "\x00\x01\x04\x13\x7f\ufeff\ufffd\u2581\ue000\U00010d40\U00016ff4\U00031350\U0001e030\u1c89",
}
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<|eot_id|>", "<|begin_of_text|>", "<0x0A>", "<|im_", "<tool>",
            "[MASK]", "<file_sep>"]
WORDS = "the In beginning God created heaven and earth running streams don't DON'T we'll We'LL it's IT'S they've I'm you'd he'ſ 'S're'VE".split()
CODE = ["def f(x):\n    return x ** 2\n", "for (int i = 0; i < 10; ++i) {\n\tsum += a[i];\n}\n", "#include <vector>\r\n\r\nint main() {}\r\n",
        "SELECT * FROM t WHERE id=12345;", "https://example.org/a/b?c=d&e=%20", "{\"key\": [1, 2.5e-10, null]}\n\n\n"]
PLAIN = ["", " ", "  ", "\n", "\n\n", " \n", "\n ", "a", " a", "  a", "a ", "a  ", "Hello world", " Hello  world ", "''''", "'s", "'S", "'ſ", "'ſa", "x'sy",
         "12345678", " 12 345", "1\n2", "a\u0085b", "a \u0085 b", "\u0085\u0085", "a\u00a0b", "a \u00a0b", "\u2028x", "\u3000\u3000x", "\u180ex", " \u180e",
         "▁", "▁a", "a▁b", " ▁ ", "<s>a", "a<s>", "<s> a", "a <s> b", "<s><s>", "<|im_start|>user\nHi<|im_end|>\n", "x [MASK] y", "x\u3000[MASK]\n y", "[MASK] [MASK]",
         "e\u0301", "\u212b", "\u1100\u1161\u11a8", "\uac00\u11a8", "<|im_end|>\u0338", "\u0301", "a\u0323\u0307", "a\u0307\u0323", "x" * 500, "ab" * 300, " " * 300,
         "\n" * 300, " \n" * 100, "\t \n  \t" * 40, "中" * 200, "1" * 200, "é" * 100, "😀" * 50, "." * 300, "--- " * 50]


def strings():
    rng = random.Random(1)
    out = list(PLAIN) + CODE
    kinds = list(ALPHABETS)
    while len(out) < 2000:
        parts = []
        for _ in range(rng.randint(1, 9)):
            roll = rng.random()
            if roll < 0.35:
                alphabet = ALPHABETS[rng.choice(kinds)]
                parts.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 6))))
            elif roll < 0.55:
                parts.append(rng.choice([" ", " ", "\n", "  "]) + rng.choice(WORDS))
            elif roll < 0.65:
                parts.append(rng.choice(ALPHABETS["spaces"]) * rng.randint(1, 4))
            elif roll < 0.72:
                parts.append(rng.choice(SPECIALS))
            elif roll < 0.76:
                text = rng.choice(CODE)
                at = rng.randrange(len(text))
                parts.append(text[at:at + 20])
            elif roll < 0.80:
                parts.append("'" + rng.choice("sStTmMdDrRvVlLſ") + rng.choice(["", "e", "E", "l", "L", "x", " "]))
            else:
                parts.append(rng.choice(WORDS) + rng.choice(" ,.\n"))
        out.append("".join(parts))
    return out


def every_character():
    """Texts with each character of the planes in use after and before a letter, a space, an apostrophe and a digit."""
    for first in list(range(0, 0x33500, 0x100)) + [0xE0000, 0xE0100]:
        if not 0xD800 <= first < 0xE000:
            yield "".join(f"x{c} {c}'{c}7 {c}\n" for c in map(chr, range(first, first + 0x100)))


def fnv(ids_lists):
    """FNV-1a of 32 bits over the ids as little-endian int32, each list ended by -1."""
    h = 2166136261
    for ids in ids_lists:
        for byte in struct.pack(f"<{len(ids) + 1}i", *ids, -1):
            h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return f"{h:08x}"


def smollm2(path):
    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    made = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in get("merges")]))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    return made, fields["tokenizer.chat_template"].contents()


def byte_level(corpus, steps, specials, normalizer=None, added=()):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = steps
    if normalizer:
        made.normalizer = normalizer
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, special_tokens=specials, show_progress=False,
                                                         initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    made.add_tokens(list(added))
    return made


def byte_fallback(corpus, normalizer, pre_tokenizer):
    specials = ["<unk>", "<s>", "</s>"]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizer
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    trained.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=600, special_tokens=specials, show_progress=False, limit_alphabet=120))
    state = json.loads(trained.to_str())["model"]
    names = specials + [f"<0x{byte:02X}>" for byte in range(256)] + [t for t in state["vocab"] if t not in specials]
    merges = [tuple(m) for m in state["merges"]]
    for left, right in [("▁", "▁"), ("▁▁", "▁▁"), (",", "▁and")]:  # runs of spaces, and one token across a space
        if left in names and right in names:
            names.append(left + right)
            merges.append((left, right))
    made = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(names)}, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        made.normalizer = normalizer
    if pre_tokenizer:
        made.pre_tokenizer = pre_tokenizer
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return made


def small_tokenizers(corpus):
    level = lambda regex=True: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    split = lambda regex: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), level(False)])
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level()])
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    qwen2 = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    replace = normalizers.Replace(" ", "▁")
    out = {
        "gpt2": byte_level(corpus, level(), ["<|endoftext|>"], added=[AddedToken("[MASK]", lstrip=True, rstrip=True, normalized=False)]),
        "smollm": byte_level(corpus, digits, qwen2),
        "llama3": byte_level(corpus, split(LLAMA3), llama3),
        "qwen2": byte_level(corpus, split(QWEN2), qwen2, normalizers.NFC(), added=[AddedToken("<tool>", special=False, normalized=False)]),
        "legacy": byte_fallback(corpus, normalizers.Sequence([normalizers.Prepend("▁"), replace]), None),
        "metaspace": byte_fallback(corpus, None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
        "words": byte_fallback(corpus, None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True)),
    }
    state = json.loads(out["llama3"].to_str())
    # Whole words that no merge makes: only ignore_merges finds them.
    for word in ["beginning", "Ġheaven", "ä¸Ńæĸĩ"]:
        state["model"]["vocab"].setdefault(word, len(state["model"]["vocab"]))
    state["model"]["ignore_merges"] = True
    state["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": llama3[0], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {llama3[0]: {"id": llama3[0], "ids": [0], "tokens": [llama3[0]]}}}]}
    out["llama3"] = Tokenizer.from_str(json.dumps(state))
    return out


def save(name, tokenizer):
    state = json.loads(tokenizer.to_str())
    if name in ("gpt2", "legacy"):  # the older spelling of merges
        state["model"]["merges"] = [" ".join(m) for m in state["model"]["merges"]]
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    assert Tokenizer.from_str(text).encode("In the beginning").ids == tokenizer.encode("In the beginning").ids
    (HERE / f"tokenizer_{name}.json").write_text(text + "\n")


def piece_model(corpus):
    """SentencePiece's own BPE, written as llama2.c writes it; its encoder is the golden one for scores."""
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=buffer, model_type="bpe", vocab_size=600, byte_fallback=True, character_coverage=0.99,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True, allow_whitespace_only_pieces=True, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_proto=buffer.getvalue())
    rows = []
    for i in range(model.get_piece_size()):
        piece = {1: "\n<s>\n", 2: "\n</s>\n"}.get(i, model.id_to_piece(i)).replace("▁", " ").encode()
        rows.append(struct.pack("<fi", model.get_score(i), len(piece)) + piece)
    (HERE / "tokenizer_llama2c.bin").write_bytes(struct.pack("<i", max(len(r) - 8 for r in rows)) + b"".join(rows))
    return model


def golden(tokenizer, texts, book):
    # Ours reads no added token in a plain text; encode_special_tokens alone would leave those that are not special.
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["special"]]
    plain = Tokenizer.from_str(json.dumps(state))
    plain.encode_special_tokens = True
    ids = lambda one, text: one.encode(text, add_special_tokens=False).ids
    hashes = [fnv([ids(plain, text), ids(tokenizer, text)]) for text in texts]
    whole = ids(plain, book)
    return {"hashes": hashes, "book_tokens": len(whole), "book_hash": fnv([whole]), "every_character": fnv(ids(plain, text) for text in every_character())}


def chats(tokenizers):
    out = []
    for name, which, template, bos, eos in CHATS:
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizers[which], bos_token=bos, eos_token=eos, chat_template=template)
        cases = []
        for messages in CONVERSATIONS:
            if messages[0]["role"] == "system" and name.startswith("mistral"):
                continue  # those templates refuse it
            ids = fast.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
            cases.append({"messages": messages, "ids": ids})
        out.append({"name": name, "tokenizer": which, "template": template, "bos": bos, "eos": eos, "cases": cases})
    return out


def main(model, book_path):
    book = pathlib.Path(book_path).read_text()
    texts = strings()
    corpus = book[:1200000].split("\n") + texts * 3
    tokenizers = small_tokenizers(corpus)
    for name, tokenizer in tokenizers.items():
        save(name, tokenizer)
    pieces = piece_model([line for line in corpus if 0 < len(line) < 4000 and "\x00" not in line and "\n" not in line])
    tokenizers["smollm2"], smollm2_template = smollm2(model)
    made = {name: golden(tokenizer, texts, book) for name, tokenizer in tokenizers.items()}
    whole = pieces.encode(book)
    made["llama2c"] = {"hashes": [fnv([pieces.encode(text)]) for text in texts], "book_tokens": len(whole), "book_hash": fnv([whole]),
                       "every_character": fnv(pieces.encode(text) for text in every_character())}
    (HERE / "tokenizer_ids.json").write_text(json.dumps({"strings": texts, "tokenizers": made}, ensure_ascii=False, separators=(",", ":")) + "\n")
    for at, chat in enumerate(CHATS):
        if chat[0] == "smollm2":
            CHATS[at] = (chat[0], chat[1], smollm2_template, chat[3], chat[4])
    (HERE / "tokenizer_chats.json").write_text(json.dumps(chats(tokenizers), ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
