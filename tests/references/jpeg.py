"""JPEG files, what Pillow decodes them to, and their blocks at 1 to 4 eighths of their size, by scipy.

    python tests/references/jpeg.py

Pinned: Pillow 12.0.0, scipy 1.17.1, numpy 2.4.6. Anything else is refused.
Writes crates/data/tests/jpeg/: pictures; what Pillow (libjpeg-turbo) decodes plain ones to, as PNG
files, which are to be equalled in every level; and expected.json with the levels of each at each size, which
crates/data/src/jpeg/tests.rs reads. Each component is decoded by Pillow without a change of colours or
of size, cut into blocks of 8 x 8 and transformed; the coefficients are taken back to the multiples of the
quantisation table that they were before Pillow rounded, the lowest N x N of them are transformed back,
orthonormal, times N/8. A subsampled component is not decoded so by Pillow: of those pictures the size is
halved, and the mean of 2 x 2 pixels of the whole is what `half` holds. Tolerance there: half a level and
rounding; for up to 4 % of the values of colours 2.3 levels, since a component that lies between two levels
may be rounded to either; for `half` a mean of 1.5 levels, since a mean of pixels is another low pass than
waves left out.
"""

import json
import pathlib

import numpy as np
import PIL
import scipy
from PIL import Image
from scipy.fft import dctn, idctn

VERSIONS = {
    "Pillow": (PIL.__version__, "12.0.0"),
    "scipy": (scipy.__version__, "1.17.1"),
    "numpy": (np.__version__, "2.4.6"),
}
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "crates/data/tests/jpeg"


def picture(width, height, channels):
    """Waves, an edge and a little noise, away from black and white, where levels would be cut off."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        128 + 40 * np.sin(x / (5 + 3 * c) + y / (9 - 2 * c) + c) + 25 * ((x + y * (c + 1)) % 40 > 20)
        + random.normal(0, 4, (height, width))
        for c in range(channels)
    ]
    levels = np.clip(np.stack(planes, axis=-1), 30, 225).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)


def reduced(plane, table, eighths):
    """Levels of a component at so many eighths of its size; its sides are multiples of 8."""
    height, width = plane.shape
    out = np.zeros((height * eighths // 8, width * eighths // 8))
    table = np.array(table, dtype=float).reshape(8, 8)
    for row in range(0, height, 8):
        for column in range(0, width, 8):
            found = dctn(plane[row:row + 8, column:column + 8] - 128.0, norm="ortho")
            found = np.round(found / table) * table
            block = idctn(found[:eighths, :eighths], norm="ortho") * eighths / 8 + 128
            at_row, at_column = row * eighths // 8, column * eighths // 8
            out[at_row:at_row + eighths, at_column:at_column + eighths] = block
    return out


def levels(path, eighths):
    """The levels of a file without subsampled components, RGB or grey."""
    image = Image.open(path)
    tables = image.quantization
    if image.mode == "L":
        return reduced(np.asarray(image, dtype=float), tables[0], eighths)
    image.draft("YCbCr", image.size)
    planes = np.moveaxis(np.asarray(image, dtype=float), -1, 0)
    assert image.mode == "YCbCr"
    exact = [reduced(plane, tables[min(at, 1)], eighths) for at, plane in enumerate(planes)]
    y, cb, cr = (np.floor(plane + 0.5) for plane in exact)  # halves up, as libjpeg rounds them
    cb, cr = cb - 128, cr - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(rgb, 0, 255)


def main():
    for name, (found, wanted) in VERSIONS.items():
        if found != wanted:
            raise SystemExit(f"{name} {found}, but {wanted} is pinned; run `cargo xtask references jpeg`")
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {"versions": {name: wanted for name, (_, wanted) in VERSIONS.items()}, "whole": {}, "half": {}}
    colours = picture(48, 40, 3)
    files = {
        "grey.jpg": (picture(48, 40, 1), {}),
        "444.jpg": (colours, {"subsampling": 0}),
        "optimised.jpg": (colours, {"subsampling": 0, "optimize": True}),
        "420.jpg": (picture(90, 75, 3), {"subsampling": 2}),
        "422.jpg": (picture(90, 75, 3), {"subsampling": 1}),
        "restarts.jpg": (picture(90, 75, 3), {"subsampling": 2, "restart_marker_blocks": 2}),
        "odd.jpg": (picture(37, 23, 3), {"subsampling": 2}),
        "progressive.jpg": (colours, {"progressive": True}),
        "cmyk.jpg": (colours.convert("CMYK"), {}),
    }
    for name, (image, options) in files.items():
        image.save(FOLDER / name, quality=80, **options)
        if name in ("grey.jpg", "444.jpg", "420.jpg", "422.jpg", "odd.jpg"):
            Image.open(FOLDER / name).convert("RGB").save(FOLDER / name.replace(".jpg", ".png"))
        if name in ("grey.jpg", "444.jpg"):
            expected["whole"][name] = {
                str(eighths): [round(level, 1) for level in levels(FOLDER / name, eighths).ravel().tolist()]
                for eighths in (1, 2, 3, 4)
            }
        if name in ("420.jpg", "422.jpg"):
            whole = np.asarray(Image.open(FOLDER / name), dtype=float)[:74]
            mean = whole.reshape(37, 2, 45, 2, 3).mean(axis=(1, 3))
            expected["half"][name] = [round(level, 1) for level in mean.ravel().tolist()]
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


main()
