"""Make the pictures of this folder and `expected.json`: what Pillow sees in them.

    python3 make.py        (needs Pillow; made with 12.0.0)

Each picture is opened as transformers' `load_image` does it: EXIF orientation applied, then
`convert("RGB")`. Pixels are in hexadecimal, row by row.
"""

import json
import pathlib
import random

import PIL
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).resolve().parent
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def noise(mode):
    size = 7 * 5 * CHANNELS[mode]
    return Image.frombytes(mode, (7, 5), bytes(random.randrange(256) for _ in range(size)))


def blocks():
    picture = Image.new("RGB", (12, 8))
    picture.paste((200, 30, 60), (0, 0, 6, 4))
    picture.paste((20, 230, 60), (6, 4, 12, 8))
    return picture


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def main():
    random.seed(1)
    noise("RGB").save(HERE / "rgb.png")
    noise("RGBA").save(HERE / "alpha.png")
    noise("LA").save(HERE / "grey_alpha.png")
    noise("L").save(HERE / "grey.png")
    noise("L").save(HERE / "grey_transparent.png", transparency=7)
    noise("L").convert("1").save(HERE / "one_bit.png")
    noise("RGB").quantize(16).save(HERE / "palette.png")
    noise("RGB").quantize(8).save(HERE / "palette_transparent.png", transparency=3)
    blocks().save(HERE / "lossless.webp", lossless=True)
    blocks().convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
    blocks().convert("L").save(HERE / "grey.jpg", quality=95)
    blocks().save(HERE / "progressive.jpg", quality=95, progressive=True, subsampling=0)
    for orientation in range(1, 9):
        path = HERE / f"turned_{orientation}.jpg"
        blocks().save(path, exif=exif_of(orientation), quality=95, subsampling=0)
    blocks().save(HERE / "turned_6.png", exif=exif_of(6))
    blocks().save(HERE / "turned_6.webp", exif=exif_of(6), lossless=True)

    expected = {}
    for path in sorted(HERE.iterdir()):
        if path.suffix in {".png", ".jpg", ".webp"}:
            picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            expected[path.name] = {
                "width": picture.width,
                "height": picture.height,
                "pixels": picture.tobytes().hex(),
            }
    document = {"pillow": PIL.__version__, "pictures": expected}
    (HERE / "expected.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
