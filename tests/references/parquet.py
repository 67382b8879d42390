# Tables as pandas and pyarrow write them, and as Hugging Face's `datasets` lays out pictures, for
# mmc-data: the same four rows in every file.
#
# Versions: Python 3.11, tests/references/requirements.txt (pandas, pyarrow, pillow).
# Run:      cargo xtask references parquet
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PLACE = Path(__file__).resolve().parents[2] / "crates/data/tests/parquet"
IDS = ["a", "b", "c", "d"]
TEXTS = ["one", "zwei, \"drei\"", "", "quatre\nfünf"]
LABELS = [1, 0, 1, 0]


def picture(level):
    to = io.BytesIO()
    Image.new("RGB", (4, 3), (level, 0, 255 - level)).save(to, "PNG")
    return to.getvalue()


# The first and the last row show the same picture.
PICTURES = [picture(10), picture(20), None, picture(10)]


def write(name, table, **options):
    (PLACE / name).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, PLACE / name / "train.parquet", **options)


def hugging_face():
    """`image` a struct of `bytes` and `path`, labels whole numbers, features in the metadata."""
    cells = [None if one is None else {"bytes": one, "path": f"{n}.png"} for n, one in enumerate(PICTURES)]
    image = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    features = {"image": {"_type": "Image"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    table = pa.table({"id": IDS, "image": image, "text": TEXTS, "label": pa.array(LABELS, pa.int64())})
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    write("hugging_face", table.replace_schema_metadata(about), row_group_size=3, compression="snappy")


def from_pandas():
    """A frame with a category column, bytes and whole numbers of eight bits."""
    frame = pd.DataFrame({"id": IDS, "text": TEXTS, "image": PICTURES, "label": LABELS})
    frame["label"] = frame["label"].map(str).astype("category")
    (PLACE / "pandas").mkdir(parents=True, exist_ok=True)
    frame.to_parquet(PLACE / "pandas/train.parquet")


def types():
    """Long strings, string views, long bytes, small pages, no compression."""
    table = pa.table({
        "id": pa.array(IDS, pa.large_string()),
        "text": pa.array(TEXTS, pa.string_view()),
        "image": pa.array(PICTURES, pa.large_binary()),
        "label": pa.array(LABELS, pa.uint8()),
    })
    write("types", table, data_page_size=1, write_batch_size=1, compression="none", use_dictionary=False)


if __name__ == "__main__":
    hugging_face()
    from_pandas()
    types()
