# Pictures that are well-formed and not what a still RGB picture is, and Parquet tables of which a few
# bytes stand for gigabytes, for mmc-data.
#
# Versions: Python 3.11, tests/references/requirements.txt (numpy, pillow, pyarrow).
# Run:      .python/bin/python crates/data/tests/hostile/make.py
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PLACE = Path(__file__).resolve().parent

frames = [Image.new("RGB", (6, 4), colour) for colour in [(200, 30, 60), (20, 180, 90)]]
for name in ["animated.gif", "animated.png", "animated.webp"]:
    frames[0].save(PLACE / name, save_all=True, append_images=frames[1:], duration=100)
# One frame is a still picture in all but GIF, which is not read.
frames[0].save(PLACE / "still.webp", save_all=True, lossless=True)

# 0x8080 of 0xFFFF in each channel is 128 of 255.
levels = np.full((3, 5), 0x8080, dtype=np.uint16)
Image.fromarray(levels).save(PLACE / "grey_16.png")

# Ten million rows that say one thing, and two hundred thousand times the same long text.
for name, text, rows in [("rows", "x", 10_000_000), ("text", "x" * 40_000, 200_000)]:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([text]))
    (PLACE / name).mkdir(exist_ok=True)
    table = pa.table({"text": column, "label": column})
    pq.write_table(table.replace_schema_metadata(), PLACE / name / "train.parquet", compression="SNAPPY")
