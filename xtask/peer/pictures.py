"""What `crates/preprocess/benches/pictures.rs` does, by Pillow and by the image processors of transformers.

    .python/bin/python xtask/peer/pictures.py make FOLDER              pictures and processors for both sides
    .python/bin/python xtask/peer/pictures.py SIDE SIZE FOLDER         pillow, fast or slow; 224 or 384

The second form answers each line of its input with a line of JSON, as the Rust side does: all pictures are
prepared once. `fast` is the torchvision back end, which decodes by torchvision too; `slow` the Pillow back
end, which decodes by Pillow; both are given paths, eight at a time, which is their fastest way. `pillow`
begins with decoded pictures: resize and crop by Pillow, then one multiplication and one addition by numpy.
As many threads as `RAYON_NUM_THREADS` says share the pictures; each computes alone.
"""

import json
import os
import pathlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
from PIL import Image

TIMES = 4
MEAN = {224: [0.48145466, 0.4578275, 0.40821073], 384: [0.5] * 3}
STD = {224: [0.26862954, 0.26130258, 0.27577711], 384: [0.5] * 3}


def make(folder):
    """Photographs of 1024 x 768 pixels, mirrored at their edges, as a camera's JPEG files."""
    from sklearn.datasets import load_sample_image
    from transformers import CLIPImageProcessor, ViltImageProcessor

    folder = pathlib.Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for number in range(8):
        photograph = load_sample_image(["china.jpg", "flower.jpg"][number % 2])
        photograph = numpy.roll(photograph, 160 * (number // 2), axis=1)
        height, width = photograph.shape[:2]
        levels = numpy.pad(photograph, ((0, 768 - height), (0, 1024 - width), (0, 0)), mode="reflect")
        Image.fromarray(levels).save(folder / "pictures" / f"{number}.jpg", quality=85)
    for name, model, processor in [("224", "clip", CLIPImageProcessor()), ("384", "vilt", ViltImageProcessor())]:
        processor.save_pretrained(folder / name)
        (folder / name / "config.json").write_text(json.dumps({"model_type": model}))
        (folder / name / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")


def processor_of(side, size):
    if size == 224:
        from transformers.models.clip.image_processing_clip import CLIPImageProcessor as Fast
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as Slow
    else:
        from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil as Slow
        from transformers.models.vilt.image_processing_vilt import ViltImageProcessor as Fast
    return (Fast if side == "fast" else Slow)()


def by_processor(side, size, paths):
    processor = processor_of(side, size)

    def prepare(paths):
        values = processor(images=paths, return_tensors="pt")["pixel_values"]
        return float(values.sum(dtype=__import__("torch").float64)), values.numel()

    return [str(path) for path in paths], prepare


def by_pillow(size, paths):
    pictures = [Image.open(path).convert("RGB") for path in paths]
    scale = (1 / 255 / numpy.array(STD[size])).astype(numpy.float32)
    shift = (-numpy.array(MEAN[size]) / numpy.array(STD[size])).astype(numpy.float32)
    wanted, box = ((298, 224), (37, 0, 261, 224)) if size == 224 else ((512, 384), None)

    def prepare(pictures):
        total, count = 0.0, 0
        for picture in pictures:
            small = picture.resize(wanted, Image.Resampling.BICUBIC)
            small = small.crop(box) if box else small
            values = numpy.asarray(small).transpose(2, 0, 1) * scale[:, None, None] + shift[:, None, None]
            total, count = total + float(values.sum(dtype=numpy.float64)), count + values.size
        return total, count

    return pictures, prepare


def main(side, size, folder):
    threads, size = int(os.environ["RAYON_NUM_THREADS"]), int(size)
    paths = sorted((pathlib.Path(folder) / "pictures").iterdir())
    if side == "pillow":
        pictures, prepare = by_pillow(size, paths)
    else:
        import torch

        torch.set_num_threads(1)
        pictures, prepare = by_processor(side, size, paths)
    batches = [pictures] * TIMES
    pool = ThreadPoolExecutor(threads)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        made = list(pool.map(prepare, batches)) if threads > 1 else [prepare(batch) for batch in batches]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        mean = sum(total for total, _ in made) / sum(count for _, count in made)
        print(json.dumps({"wall": wall, "cpu": cpu, "loss": mean}), flush=True)
    print(json.dumps({}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
