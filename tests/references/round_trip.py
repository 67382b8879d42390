"""Does transformers load what mmc saved, and give the same logits?

    cargo xtask references round_trip

fine-tunes the checkpoints of `tests/fixtures/models` with mmc for some steps, and tiny models that mmc
makes with their tokenizers, writes its predictions of the test rows, loads each run's `checkpoint/` with
transformers' own classes, tokenizer and image processor, and compares the logits from the raw texts and
pictures: at most 1e-4 apart. Nothing is written into the repository; a difference is an error.
"""

import csv
import json
import pathlib
import subprocess
import tempfile

import torch
import transformers
from PIL import Image
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/models"
DATA = FIXTURES / "data"
MAX_LENGTH = 12
MODELS = ["bert", "roberta", "vilt", "bert-tiny", "roberta-tiny", "vilt-tiny"]
TOLERANCE = 1e-4


def mmc(*words):
    command = ["cargo", "run", "--quiet", "--package", "mmc", "--", *map(str, words)]
    subprocess.run(command, cwd=ROOT, check=True)


def train(name, folder):
    checkpoint = "none" if name.endswith("-tiny") else FIXTURES / name
    mmc("train", "--model", name, "--checkpoint", checkpoint, "--dataset", "table", "--data-root", DATA,
        "--max-steps", 12, "--batch-size", 8, "--learning-rate", 1e-3, "--max-length", MAX_LENGTH, "--out", folder)
    rows = [json.loads(line) for line in (folder / "predictions/test.jsonl").read_text().splitlines()]
    classes = list(rows[0]["probabilities"])
    return {row["id"]: dict(zip(classes, row["logits"])) for row in rows}


def reload(name, folder, rows):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer([row["text"] for row in rows], padding=True, truncation=True, max_length=MAX_LENGTH,
                       return_tensors="pt")
    if not name.startswith("vilt"):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    else:
        model = transformers.AutoModelForVisualQuestionAnswering.from_pretrained(folder)
        pictures = [Image.open(DATA / row["image"]).convert("RGB") for row in rows]
        inputs.update(ViltImageProcessorPil.from_pretrained(folder)(pictures, return_tensors="pt"))
    with torch.no_grad():
        logits = model.eval()(**inputs).logits.tolist()
    names = model.config.id2label
    return {row["id"]: {names[i]: value for i, value in enumerate(values)} for row, values in zip(rows, logits)}


def main():
    with open(DATA / "test.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in MODELS:
        with tempfile.TemporaryDirectory() as place:
            run = pathlib.Path(place) / "run"
            ours, theirs = train(name, run), reload(name, run / "checkpoint", rows)
        worst = max(abs(ours[row["id"]][label] - value)
                    for row in rows for label, value in theirs[row["id"]].items())
        print(f"{name}: logits of {len(rows)} rows differ by at most {worst:.2e}")
        if not worst <= TOLERANCE:
            raise SystemExit(f"{name}: more than {TOLERANCE}")


if __name__ == "__main__":
    main()
