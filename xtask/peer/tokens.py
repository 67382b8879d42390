"""What `crates/preprocess/benches/tokens.rs` does, by the fast tokenizers of transformers.

    .python/bin/python xtask/peer/tokens.py make NAMES.csv TEXTS.txt     texts as long as those of memes
    .python/bin/python xtask/peer/tokens.py CHECKPOINT TEXTS.txt

The second form answers each line of its input with a line of JSON, as the Rust side does. The texts are
given to the tokenizer in one call, its fastest way, as many threads as `RAYON_NUM_THREADS` says.
"""

import csv
import json
import os
import sys
import time

import numpy


def make(names, texts):
    words = [row["text"] for row in csv.DictReader(open(names))]
    draw = numpy.random.default_rng(0)
    lengths = numpy.clip(draw.lognormal(1.6, 0.45, 20_000).astype(int), 1, 60)
    lines = (", ".join(draw.choice(words, length)) for length in lengths)
    open(texts, "w").write("\n".join(lines) + "\n")


def main(folder, texts):
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if os.environ["RAYON_NUM_THREADS"] != "1" else "false"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = open(texts).read().splitlines()
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        ids = tokenizer(lines, truncation=True)["input_ids"]
        wall = time.perf_counter() - begun
        print(json.dumps({"wall": wall, "loss": sum(map(len, ids))}), flush=True)
    print(json.dumps({}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
