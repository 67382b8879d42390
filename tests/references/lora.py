"""Is LoRA what `peft` says it is: does peft load what mmc saved, and does it learn the same?

    cargo xtask references lora

1. Fine-tunes the checkpoints of `tests/fixtures/models` with mmc and LoRA for some steps, loads what
   training began with by transformers and on it `checkpoint/adapter` by peft, and compares the logits of
   the test rows, from the raw texts and pictures, with mmc's predictions: at most 1e-4 apart.
2. Writes `tests/fixtures/models/lora.json`: the losses of 20 steps of peft and `torch.optim.AdamW`, dropout
   0, from the matrices that mmc draws. These come from a run of one step, whose rate is 0 since it is all
   warm-up. `crates/train/tests/pytorch.rs` holds mmc's own steps to them: 1e-3 relative.

FLAVA and CLIP have their head in `mmc_head.safetensors`, outside of what peft knows.
"""

import csv
import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file

import models
import round_trip

KINDS = {kind.name: kind for kind in [models.Bert, models.Roberta, models.Vilt, models.Flava, models.Clip]}
STEPS, RANK, ALPHA, SEED, RATE = 20, 4, 12.0, 3, 5e-3
TOLERANCE = 1e-4


def train(name, folder, steps, *more):
    round_trip.mmc(
        "train", "--model", name, "--checkpoint", round_trip.FIXTURES / name, "--dataset", "table",
        "--data-root", round_trip.DATA, "--max-length", models.MAX_LENGTH, "--batch-size", 8, "--no-shuffle",
        "--learning-rate", RATE, "--lora-rank", RANK, "--lora-alpha", ALPHA, "--seed", SEED, "--dropout", 0,
        "--max-steps", steps, *more, "--out", folder,
    )


def adapted(name, run):
    """The model that training began with, with the adapter of a run on it. The head of an architecture
    that peft does not know with one is that of the run."""
    kind = KINDS[name]()
    state = load_file(round_trip.FIXTURES / name / "model.safetensors")
    head = run / "checkpoint/mmc_head.safetensors"
    if head.exists():
        state.update(load_file(head))
    kind.model.load_state_dict(state)
    kind.model = peft.PeftModel.from_pretrained(kind.model, run / "checkpoint/adapter", is_trainable=True)
    for parameter_name, parameter in kind.model.named_parameters():
        if head.exists() and ".classifier." in parameter_name:
            parameter.requires_grad = True
    kind.model.eval()  # dropout 0
    return kind


@torch.no_grad()
def check_saved(name, run, rows):
    lines = (run / "predictions/test.jsonl").read_text().splitlines()
    kind = adapted(name, run)
    logits = kind.model(**kind.inputs(rows)).logits.tolist()
    worst = 0.0
    for line, row, theirs in zip(map(json.loads, lines), rows, logits, strict=True):
        assert line["id"] == row["id"]
        # The run's classes are the data set's; the adapter's head is in that order too.
        worst = max(worst, *(abs(a - b) for a, b in zip(line["logits"], theirs, strict=True)))
    print(f"{name}: logits of {len(rows)} rows differ by at most {worst:.2e}")
    if not worst <= TOLERANCE:
        raise SystemExit(f"{name}: more than {TOLERANCE}")


def learn(kind, rows):
    """AdamW, linear to 0 over the steps, decay 0.01 but on biases and norms, clipped to norm 1."""
    groups = [{"params": [], "weight_decay": 0.01}, {"params": [], "weight_decay": 0.0}]
    trained = [(name, value) for name, value in kind.model.named_parameters() if value.requires_grad]
    for name, value in trained:
        is_norm = "classifier" in name and name.split(".")[-2] == "1"  # ViLT's head
        groups[int(name.endswith("bias") or is_norm)]["params"].append(value)
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 0, STEPS)
    classes = sorted(models.CLASSES)  # the data set's order, as the run's head has it
    losses = []
    for step in range(STEPS):
        start = step * 8 % len(rows)
        batch = rows[start : start + 8]
        targets = torch.tensor([classes.index(row["label"]) for row in batch])
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(kind.model(**kind.inputs(batch)).logits, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([value for _, value in trained], 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return {"trainable": sum(value.numel() for _, value in trained), "losses": losses}


def read(split):
    with open(round_trip.DATA / f"{split}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(names):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    path = round_trip.FIXTURES / "lora.json"
    expected = {
        "made_by": {library.__name__: library.__version__.split("+")[0] for library in (peft, transformers, torch)},
        "rank": RANK, "alpha": ALPHA, "seed": SEED, "learning_rate": RATE, "max_length": models.MAX_LENGTH,
        "models": json.loads(path.read_text())["models"] if names else {},
    }
    for name in names or KINDS:
        torch.manual_seed(SEED)  # ViLT shuffles its patches, which changes rounding alone
        with tempfile.TemporaryDirectory() as place:
            trained, begun = pathlib.Path(place) / "trained", pathlib.Path(place) / "begun"
            train(name, trained, 12)
            check_saved(name, trained, read("test"))
            train(name, begun, 1, "--warmup-ratio", 1)
            expected["models"][name] = learn(adapted(name, begun), read("train"))
    path.write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
