"""Tokens of the tiny tokenizers by Hugging Face's `tokenizers`, which is no dependency of ours.

pip install tokenizers
python -m tests.workshop.golden_bpe > tests/workshop/data/golden_bpe.json
"""

from __future__ import annotations

import importlib
import json
import sys

from edge_assistant_quantize.llama.pre_tokenizers import KNOWN
from edge_assistant_quantize.llama.verify import TEXTS

from tests.workshop.tiny_llama import Variant, tokenizer_json

MORE = (
    "",
    " ",
    "  two",
    "tab\there\n\n  indented\r\n\r\nend  ",
    "a<|im_start|>user\nHi<|im_end|>\n",
    "१२३ ⅷ ½ x² 2024-11-22",
    "don\u2019t it's IT'S 's 'sx",
    "\u017f \u212a Å ǅ ﬁ \u00a0nbsp\u2003em\u3000wide",
    "زمان 한국어 ไทย हिन्दी",
    "\x1c\x1d control \x7f",
    "🙂🙂🏽‍🚀 x",
    "aaaaaaaaaaaaaaaa the the the   the",
)
ALL = (*TEXTS, *MORE)


def main() -> None:
    """Print ids by pre-tokeniser, in the order of `ALL`."""
    tokenizers = importlib.import_module("tokenizers")  # no type hints, and not installed

    golden = {}
    for known in KNOWN:
        stated = tokenizer_json(Variant(pre=known.name)) | {"normalizer": None}
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(stated))
        golden[known.name] = [tokenizer.encode(text).ids for text in ALL]
    json.dump(golden, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
