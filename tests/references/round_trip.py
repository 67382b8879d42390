"""Does transformers load what mmc saved, and give the same logits?

    cargo xtask references round_trip

fine-tunes the checkpoints of `tests/fixtures/models` with mmc for some steps, and tiny models that mmc
makes with their tokenizers, writes its predictions of the test rows, loads each run's `checkpoint/` with
transformers' own classes, tokenizer and image processor, and compares the logits from the raw texts and
pictures: at most 1e-4 apart.

Then transformers saves what it loaded into another folder, tokenizer and image processor too. Every tensor
there must have the bytes of ours, and mmc's predictions from there those of its own folder; a head that
transformers has no class for goes along as the file it is. Nothing is written into the repository; a
difference is an error.
"""

import csv
import json
import pathlib
import shutil
import subprocess
import tempfile

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/models"
DATA = FIXTURES / "data"
MAX_LENGTH = 12
MODELS = ["bert", "roberta", "vilt", "bert-tiny", "roberta-tiny", "vilt-tiny", "flava", "flava-tiny", "clip",
          "clip-tiny"]
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


def inputs_of(folder, rows, processor=None):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer([row["text"] for row in rows], padding=True, truncation=True, max_length=MAX_LENGTH,
                       return_tensors="pt")
    if processor is not None:
        pictures = [Image.open(DATA / row["image"]).convert("RGB") for row in rows]
        inputs.update(processor.from_pretrained(folder)(pictures, return_tensors="pt"))
    return inputs


def flava(folder, rows):
    """The backbone has to load in silence; the head is a file of ours."""
    model, report = transformers.FlavaModel.from_pretrained(folder, output_loading_info=True)
    if any(report.values()):
        raise SystemExit(f"FlavaModel does not take the backbone as it is: {report}")
    head = load_file(folder / "mmc_head.safetensors")
    states = model.eval()(**inputs_of(folder, rows, FlavaImageProcessorPil)).multimodal_embeddings[:, 0]
    return model.config.id2label, torch.nn.functional.linear(states, head["classifier.weight"], head["classifier.bias"])


def clip(folder, rows):
    """As FLAVA; the head reads the projections as they are, and their product."""
    model, report = transformers.CLIPModel.from_pretrained(folder, output_loading_info=True)
    if any(report.values()):
        raise SystemExit(f"CLIPModel does not take the backbone as it is: {report}")
    head = load_file(folder / "mmc_head.safetensors")
    linear = lambda x, layer: torch.nn.functional.linear(
        x, head[f"classifier.{layer}.weight"], head[f"classifier.{layer}.bias"])
    inputs = inputs_of(folder, rows, CLIPImageProcessorPil)
    text = model.eval().get_text_features(inputs["input_ids"], attention_mask=inputs["attention_mask"]).pooler_output
    image = model.get_image_features(inputs["pixel_values"]).pooler_output
    inner = torch.nn.functional.gelu(linear(torch.cat([text, image, text * image], 1), 0))
    return model.config.id2label, linear(inner, 2)


def native(name, folder, rows):
    if name.startswith("vilt"):
        model = transformers.AutoModelForVisualQuestionAnswering.from_pretrained(folder)
        inputs = inputs_of(folder, rows, ViltImageProcessorPil)
    else:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        inputs = inputs_of(folder, rows)
    return model.config.id2label, model.eval()(**inputs).logits


@torch.no_grad()
def reload(name, folder, rows):
    apart = {"flava": flava, "clip": clip}.get(name.removesuffix("-tiny"))
    names, logits = apart(folder, rows) if apart else native(name, folder, rows)
    return {row["id"]: {names[i]: value for i, value in enumerate(values)} for row, values in zip(rows, logits.tolist())}


PROCESSORS = {"clip": CLIPImageProcessorPil, "flava": FlavaImageProcessorPil, "vilt": ViltImageProcessorPil}
CLASSES = {
    "bert": transformers.BertForSequenceClassification,
    "roberta": transformers.RobertaForSequenceClassification,
    "vilt": transformers.ViltForQuestionAnswering,
    "clip": transformers.CLIPModel,
    "flava": transformers.FlavaModel,
}


def raw(path):
    """The tensors of a safetensors file by name: type, shape, bytes."""
    file = path.read_bytes()
    length = int.from_bytes(file[:8], "little")
    header, data = json.loads(file[8:8 + length]), file[8 + length:]
    header.pop("__metadata__", None)
    return {name: (tensor["dtype"], tensor["shape"], data[slice(*tensor["data_offsets"])])
            for name, tensor in header.items()}


def predicted(folder, place):
    """Our predictions of the test rows from a folder, as bytes."""
    out = place / f"{folder.name}.jsonl"
    mmc("predict", "--checkpoint", folder, "--input", DATA / "test.csv", "--max-length", MAX_LENGTH, "--out", out)
    return out.read_bytes()


def save_again(name, ours, theirs):
    """What transformers makes of our folder, saved by transformers."""
    kind = name.removesuffix("-tiny")
    CLASSES[kind].from_pretrained(ours).save_pretrained(theirs)
    transformers.AutoTokenizer.from_pretrained(ours).save_pretrained(theirs)
    if kind in PROCESSORS:
        PROCESSORS[kind].from_pretrained(ours).save_pretrained(theirs)
    for file in ("mmc.json", "mmc_head.safetensors"):
        if (ours / file).exists():
            shutil.copy(ours / file, theirs / file)


def there_and_back(name, ours, place):
    theirs = place / "theirs"
    save_again(name, ours, theirs)
    before, after = raw(ours / "model.safetensors"), raw(theirs / "model.safetensors")
    changed = [tensor for tensor in before.keys() | after.keys() if before.get(tensor) != after.get(tensor)]
    if changed:
        raise SystemExit(f"{name}: transformers saves other tensors: {sorted(changed)[:5]} of {len(changed)}")
    if predicted(ours, place) != predicted(theirs, place):
        raise SystemExit(f"{name}: predictions differ after transformers saved the checkpoint")
    print(f"{name}: {len(before)} tensors, and all predictions, are the same bytes after transformers saved them")


def main():
    with open(DATA / "test.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in MODELS:
        with tempfile.TemporaryDirectory() as place:
            run = pathlib.Path(place) / "run"
            ours, theirs = train(name, run), reload(name, run / "checkpoint", rows)
            there_and_back(name, run / "checkpoint", pathlib.Path(place))
        worst = max(abs(ours[row["id"]][label] - value)
                    for row in rows for label, value in theirs[row["id"]].items())
        print(f"{name}: logits of {len(rows)} rows differ by at most {worst:.2e}")
        if not worst <= TOLERANCE:
            raise SystemExit(f"{name}: more than {TOLERANCE}")


if __name__ == "__main__":
    main()
