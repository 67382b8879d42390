"""What `crates/train/benches/step.rs` does, as a user of PyTorch and transformers would type it.

    .python/bin/python xtask/peer/step.py make CASE FOLDER     a checkpoint and batches for both sides
    .python/bin/python xtask/peer/step.py FOLDER train|infer BATCH.safetensors…
    .python/bin/python xtask/peer/step.py limit

The latter forms answer each line of their input with a line of JSON, as the Rust side does. Weights are
random, in the published sizes; both sides load the same files. Eager mode, f32, the attention that
transformers chooses by itself (sdpa), as many threads as the environment allows; AdamW, clipping to
norm 1, the dropouts of the checkpoint's configuration. With MMC_DEVICE=cuda:0 on a CUDA device, where
products are in full f32 (no TF32, PyTorch's default), a round ends when the device is done and memory is
that of its tensors; MMC_PRECISION=bf16 switches autocast on.

A case is MODEL-ROWSxTOKENS[xLAYERS][-epoch]; the picture side has its published size. With `epoch` there
are several batches whose texts have the lengths of Hateful Memes' (`epoch-0`, …), padded to the longest
of each, and the first of them padded to 512 tokens (`fixed-0`). `sizes.csv` has texts,
tokens and tokens with padding of each batch.
"""

import json
import os
import pathlib
import resource
import sys
import time

import numpy
import torch
import transformers
from safetensors.numpy import load_file, save_file

DEVICE = os.environ.get("MMC_DEVICE", "cpu")
PRECISION = os.environ.get("MMC_PRECISION", "f32")
SIDES = {"bert": None, "vilt": 384, "clip": 224, "flava": 224}
# What ViLT's processor makes of square, 4:3, 3:2 and upright 3:4 pictures: it keeps their shape.
SIZES_OF_VILT = [(384, 384), (384, 512), (384, 576), (512, 384)]
CONFIGS = {
    "bert": (transformers.BertForSequenceClassification, transformers.BertConfig),
    "vilt": (transformers.ViltForQuestionAnswering, transformers.ViltConfig),
    "clip": (transformers.CLIPModel, transformers.CLIPConfig),
    "flava": (transformers.FlavaModel, transformers.FlavaConfig),
}


class Clip(torch.nn.Module):
    """The `fused` head of mmc on CLIP's two projections."""

    def __init__(self, folder):
        super().__init__()
        self.backbone = transformers.CLIPModel.from_pretrained(folder)
        width = self.backbone.config.projection_dim
        self.head = torch.nn.Sequential(torch.nn.Linear(3 * width, width), torch.nn.GELU(), torch.nn.Linear(width, 2))

    def forward(self, pixel_values, labels=None, **text):
        text = self.backbone.get_text_features(**text).pooler_output
        image = self.backbone.get_image_features(pixel_values).pooler_output
        return self.head(torch.cat([text, image, text * image], dim=1))


class Flava(torch.nn.Module):
    """A linear head on the multimodal encoder's own token."""

    def __init__(self, folder):
        super().__init__()
        self.backbone = transformers.FlavaModel.from_pretrained(folder)
        self.head = torch.nn.Linear(self.backbone.config.hidden_size, 2)

    def forward(self, labels=None, **inputs):
        states = self.backbone(skip_multimodal_encoder=False, **inputs).multimodal_embeddings
        return self.head(states[:, 0])


class Whole(torch.nn.Module):
    """A class of transformers with its own head."""

    def __init__(self, folder, kind):
        super().__init__()
        self.model = kind.from_pretrained(folder)

    def forward(self, labels=None, **inputs):
        return self.model(**inputs).logits


def parsed(case):
    """Model, rows, tokens and layers of a case (None: as published), and whether it is an epoch."""
    epoch = case.endswith("-epoch")
    name, size = case.removesuffix("-epoch").split("-")
    rows, tokens, *layers = [int(part) for part in size.split("x")]
    return name, rows, tokens, layers[0] if layers else None, epoch


def lengths_of_memes(draw, rows):
    """Tokens with specials: a log-normal with the median of a meme's text."""
    return numpy.clip(draw.lognormal(2.75, 0.45, rows).astype(int) + 2, 5, 512)


def make(case, folder):
    name, rows, tokens, layers, epoch = parsed(case)
    folder = pathlib.Path(folder)
    torch.manual_seed(0)
    if not (folder / "model/model.safetensors").is_file():
        kind, config = CONFIGS[name]
        settings = {"id2label": {0: "no", 1: "yes"}} if name in ("bert", "vilt") else {}
        if layers:
            settings["num_hidden_layers"] = layers
        kind(config(**settings)).save_pretrained(folder / "model")
    draw = numpy.random.default_rng(0)
    mixed = numpy.minimum(lengths_of_memes(draw, rows), tokens)
    batches = [("equal", numpy.full(rows, tokens), 0), ("mixed", mixed, 0)]
    if epoch:
        memes = [lengths_of_memes(draw, rows) for _ in range(8)]
        batches = [(f"epoch-{number}", lengths, 0) for number, lengths in enumerate(memes)]
        batches += [(f"fixed-{number}", lengths, 512) for number, lengths in enumerate(memes[:1])]
    sizes = []
    for batch, lengths, width in batches:
        longest = max(int(lengths.max()), width)
        sizes.append(f"{batch},{rows},{lengths.sum()},{rows * longest}\n")
        ids = draw.integers(1000, 30000, (rows, longest)).astype(numpy.uint32)
        if name == "clip":
            ids[:, 0] = 49406
        for row, length in enumerate(lengths):
            ids[row, length:] = 0
            if name == "clip":
                ids[row, length - 1:] = 49407
        arrays = {"token_ids": ids, "lengths": lengths.astype(numpy.uint32),
                  "labels": draw.integers(0, 2, rows).astype(numpy.uint32)}
        if SIDES[name]:
            sizes_of_pictures = numpy.full((rows, 2), SIDES[name], numpy.uint32)
            if name == "vilt" and batch == "mixed":
                sizes_of_pictures = numpy.resize(numpy.array(SIZES_OF_VILT, numpy.uint32), (rows, 2))
            height, width = sizes_of_pictures.max(axis=0)
            arrays["sizes"] = sizes_of_pictures
            arrays["pixel_values"] = draw.normal(size=(rows, 3, height, width)).astype(numpy.float32)
        save_file(arrays, folder / f"{batch}.safetensors")
    (folder / "sizes.csv").write_text("".join(sizes))


def load(folder):
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    if kind == "clip":
        return Clip(folder)
    if kind == "flava":
        return Flava(folder)
    return Whole(folder, CONFIGS[kind][0])


def inputs_of(path):
    arrays = load_file(path)
    ids = torch.from_numpy(arrays["token_ids"].astype(numpy.int64))
    lengths = torch.from_numpy(arrays["lengths"].astype(numpy.int64))
    inputs = {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}
    if "pixel_values" in arrays:
        inputs["pixel_values"] = torch.from_numpy(arrays["pixel_values"])
        height, width = inputs["pixel_values"].shape[2:]
        sizes = torch.from_numpy(arrays["sizes"].astype(numpy.int64))
        if (sizes != torch.tensor([height, width])).any():
            rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None]
            inputs["pixel_mask"] = ((rows < sizes[:, 0, None, None]) & (columns < sizes[:, 1, None, None])).long()
    return inputs, torch.from_numpy(arrays["labels"].astype(numpy.int64))


def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024


def memory(name):
    return torch.cuda.max_memory_allocated() if DEVICE != "cpu" else status(name)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def answer(work, before):
    """Does a round for each line of the input."""
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        begun, used = time.perf_counter(), cpu()
        loss, flops = work()
        if DEVICE != "cpu":
            torch.cuda.synchronize()
        wall, used = time.perf_counter() - begun, cpu() - used
        print(json.dumps({"wall": wall, "cpu": used, "loss": loss, "flops": flops}), flush=True)
    print(json.dumps({"peak": memory("VmHWM:"), "before": before}), flush=True)


def limit():
    """The largest product of a step of BERT-base, again and again."""
    x, weight = torch.randn(2048, 768), torch.randn(3072, 768)

    def work():
        with torch.inference_mode():
            for _ in range(8):
                y = torch.nn.functional.linear(x, weight)
        return y[0, 0].item(), 8 * 2 * 2048 * 3072 * 768

    answer(work, 0)


def main(folder, kind, *files):
    model = load(pathlib.Path(folder)).to(DEVICE)
    batches = [inputs_of(file) for file in files]
    batches = [({name: tensor.to(DEVICE) for name, tensor in inputs.items()}, labels.to(DEVICE)) for inputs, labels in batches]
    training = kind == "train"
    model.train(training)
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
    others = [p for n, p in model.named_parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=2e-5)

    def step(inputs, labels):
        with torch.autocast("cuda", torch.bfloat16, enabled=PRECISION == "bf16"):
            loss = torch.nn.functional.cross_entropy(model(labels=labels, **inputs), labels)
        if training:
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    def work():
        with torch.inference_mode(not training):
            return sum(step(*batch) for batch in batches) / len(batches), 0

    answer(work, memory("VmRSS:"))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    elif sys.argv[1] == "limit":
        limit()
    else:
        main(*sys.argv[1:])
