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

`small.json` there has what Pillow makes of every size up to 10 x 10 (10 x 8, 8 x 10) in three ways of
subsampling, all from one MCU a way: the size in the frame's header is written over, so what lies beyond the
border of a picture is not its last pixel repeated, and a decoder that lets it in is found out. Pillow cannot
write colours of half the height and the whole width (4:4:0): those files are 4:2:2 ones whose two blocks of
luminance an MCU are said to lie one below the other. Levels there, and of `440.png`, are to be equalled.
"""

import io
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


def framed(file, size, factors):
    """The same file with another size, and other sampling factors of its first component."""
    at = file.index(b"\xff\xc0")
    assert file[at + 9] == 3, "three components"
    width, height = size
    frame = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    file = file[:at + 5] + frame + file[at + 9:]
    return file[:at + 11] + bytes([factors]) + file[at + 12:]


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, **options)
    return file.getvalue()


def decoded(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def small():
    """One MCU of each way of subsampling, and what Pillow makes of it at each size."""
    colours = picture(16, 16, 3)
    one = encoded(colours, subsampling=2)
    wide = encoded(colours.crop((0, 0, 16, 8)), subsampling=1)
    ways = {"4:2:0": (one, 0x22, (10, 10)), "4:2:2": (wide, 0x21, (10, 8)), "4:4:0": (wide, 0x12, (8, 10))}
    found = {}
    for name, (file, factors, (widest, highest)) in ways.items():
        sizes = {}
        for width in range(1, widest + 1):
            for height in range(1, highest + 1):
                levels = decoded(framed(file, (width, height), factors))
                assert levels.shape == (height, width, 3)
                sizes[f"{width}x{height}"] = levels.tobytes().hex()
        found[name] = {"file": framed(file, (widest, highest), factors).hex(), "levels": sizes}
    return found


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
    # 6 x 10 MCUs of 16 x 8 pixels, then of 8 x 16.
    tall = framed(encoded(picture(96, 80, 3), subsampling=1), (45, 155), 0x12)
    (FOLDER / "440.jpg").write_bytes(tall)
    Image.fromarray(decoded(tall)).save(FOLDER / "440.png")
    (FOLDER / "small.json").write_text(json.dumps(small(), indent=0) + "\n")
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


main()
