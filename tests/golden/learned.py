"""Ids that PyPI's tokenizers gives with the tokenizers learned from learned.txt, for tests/text/bpe_trainer_test.cpp.
usage: for s in gpt-2 llama-3 qwen2 smollm; do longview convert --train-bpe learned.txt --vocab 420 --split $s -o DIR/$s; done
       python3 learned.py DIR > learned_ids.json"""
import json, pathlib, sys
from tokenizers import Tokenizer

here = pathlib.Path(__file__).parent
texts = [here.joinpath("learned.txt").read_text(), "It's 12345 o'clock,  HERE'S the\n\n\tpass key: 77-AB.", "Žluťoučký kůň 你好 🙂", " ", ""]
out = {"texts": texts, "ids": {}}
for name in ("gpt-2", "llama-3", "qwen2", "smollm"):
    tokenizer = Tokenizer.from_file(str(pathlib.Path(sys.argv[1]) / name / "tokenizer.json"))
    out["ids"][name] = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert all(tokenizer.decode(ids) == text for ids, text in zip(out["ids"][name], texts))
print(json.dumps(out, ensure_ascii=False))
