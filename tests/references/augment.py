"""Changed pictures of torchvision.

    python tests/references/augment.py

Pinned: torch 2.11.0, torchvision 0.26.0. Anything else is refused.
Writes crates/preprocess/tests/augment/torchvision.json, which crates/preprocess/src/augment/tests.rs
reads: a picture of gradients with other brightness, contrast and saturation (tolerance there: one level
in at most 1 value of 100, since torchvision fuses multiply and add, so that a value on the edge of two
levels falls either way), and the deciles
of width, height and place over 200,000 pieces of `RandomResizedCrop`, from a square picture, in which
proportions against the picture's own are proportions (tolerance: 2 of 400 pixels, above four standard
errors of a decile of 20,000 draws).
"""

import json
import pathlib

import torch
import torchvision
from torchvision.transforms import v2

VERSIONS = {
    "torch": (torch.__version__.split("+")[0], "2.11.0"),
    "torchvision": (torchvision.__version__.split("+")[0], "0.26.0"),
}
FIXTURE = pathlib.Path(__file__).resolve().parents[2] / "crates/preprocess/tests/augment/torchvision.json"
FACTORS = [(1.2, 1.0, 1.0), (0.8, 1.0, 1.0), (1.0, 0.8, 1.0), (1.0, 1.2, 1.0), (1.0, 1.0, 1.2),
           (1.0, 1.0, 0.8), (1.2, 0.8, 1.1), (0.85, 1.15, 0.9)]
SIDE, DRAWS, SEED = 400, 200_000, 0


def colours():
    y, x = torch.meshgrid(torch.arange(15), torch.arange(20), indexing="ij")
    picture = torch.stack([x * 12, y * 16, x + y]).to(torch.uint8)
    cases = []
    for brightness, contrast, saturation in FACTORS:
        changed = v2.functional.adjust_brightness(picture, brightness)
        changed = v2.functional.adjust_contrast(changed, contrast)
        changed = v2.functional.adjust_saturation(changed, saturation)
        levels = changed.permute(1, 2, 0).flatten().tolist()
        cases.append({"factors": [brightness, contrast, saturation], "levels": levels})
    return cases


def deciles():
    torch.manual_seed(SEED)
    crop = v2.RandomResizedCrop(224, scale=(0.8, 1.0), ratio=(1 / 1.1, 1.1))
    picture = [torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)]
    drawn = [crop.make_params(picture) for _ in range(DRAWS)]
    found = {}
    for name in ("width", "height", "left"):
        values = sorted(draw[name] for draw in drawn)
        found[name] = [values[part * DRAWS // 10] for part in range(1, 10)]
    return found


for name, (found, wanted) in VERSIONS.items():
    if found != wanted:
        raise SystemExit(f"{name} {found}, but {wanted} is pinned; run `cargo xtask references augment`")
written = {
    "versions": {name: wanted for name, (_, wanted) in VERSIONS.items()},
    "side": SIDE,
    "deciles": deciles(),
    "colours": colours(),
}
lines = [f' "{key}": {json.dumps(value)}' for key, value in written.items() if key != "colours"]
cases = ",\n".join(f"  {json.dumps(case)}" for case in written["colours"])
FIXTURE.write_text("{\n" + ",\n".join(lines) + ',\n "colours": [\n' + cases + "\n ]\n}\n")
