"""Resized pictures of Pillow, pixel values and token ids of transformers.

    python tests/references/processors.py

Pinned: Pillow 12.0.0 (13 swaps the two passes of a resize for some shapes), transformers 5.17.0,
tokenizers 0.23.3, numpy 2.4.6, torchvision 0.26.0. Anything else is refused.
Writes crates/preprocess/tests/fixtures/, which crates/preprocess/tests/suite/ reads. Tolerances
there: resized pictures and token ids exactly equal, pixel values of the `pil` back end within 1e-6
(one level is 0.008 to 0.015; both sides do the same f32 operations), those of the `torchvision` back
end within 2 levels, where at most 1 value in 50 differs at all: its resize has weights of 16 bits,
Pillow's of 22. It is that resize only where the CPU has AVX2; elsewhere torchvision keeps floats
between the passes, which is another picture, and is refused here.
"""

import json
import pathlib
import shutil

import numpy as np
import PIL
import tokenizers
import torch
import torchvision
import transformers
from PIL import Image
from safetensors.numpy import save_file
from transformers import AutoTokenizer, BertTokenizer, CLIPProcessor, CLIPTokenizer
from transformers import RobertaTokenizer, ViltProcessor
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.flava.image_processing_flava import FlavaImageProcessor
from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil
from transformers.models.vilt.image_processing_vilt import ViltImageProcessor

VERSIONS = {
    "Pillow": (PIL.__version__, "12.0.0"),
    "transformers": (transformers.__version__, "5.17.0"),
    "tokenizers": (tokenizers.__version__, "0.23.3"),
    "numpy": (np.__version__, "2.4.6"),
    "torchvision": (torchvision.__version__.split("+")[0], "0.26.0"),
}
SEED = 0
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "crates/preprocess/tests/fixtures"

# Width, height, kind. Noise is the worst case for rounding: overshoot is clamped between the passes.
PICTURES = [
    ("tiny", 7, 5, "noise"),
    ("wide", 75, 26, "noise"),
    ("tall", 23, 61, "noise"),
    ("square", 48, 48, "noise"),
    ("strip", 110, 5, "noise"),
    ("smooth", 120, 85, "smooth"),
]
FILTERS = {"box": 4, "bilinear": 2, "hamming": 5, "bicubic": 3, "lanczos": 1}

# Word pieces with and without accents and capitals, so that each switch changes some ids.
PIECES = """a ano año the red car cars ##s ##on cami ##ión ##ion camion sí si nino niño Niño El el
mañana manana é e ##e ##é not hate ##ful 世 界 世界 , . ! ? ' - [ ] sep un ##able ##á ##a""".split()
TEXTS = {
    "plain": "The red car, not hateful!",
    "accents": "El niño sí vio el camión mañana; El Niño",
    "decomposed": "nin\u0303o an\u0303o si\u0301",
    "chinese": "the世界car 世",
    "control": "red\u0000 ca\u0007r\u200b the\tred\ncar\u00a0s\u3000a \ufffd",
    "long word": "a" * 101 + " " + "a" * 100 + " red",
    "empty": "",
    "blank": " \t\n ",
    "spelled special": "red [SEP] car [MASK] [CLS] [sep] [PAD]",
    "spelled other special": "red </s> car <|endoftext|> the <mask> <|startoftext|> s",
    "unknown": "xyz red \U0001f600 ##s",
    "punctuation": "red-car's (the) $a~ ¿sí? …",
    "contractions": "It's the car's 1234 they're DON'T  a   b",
}


def picture(width, height, kind, random):
    if kind == "noise":
        return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / (9 + 4 * c) + y / (15 - 3 * c) + c) for c in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def resized(pictures):
    """Pillow's `Image.resize`, 8-bit; the outputs as PNG files."""
    (FIXTURES / "resized").mkdir()
    cases = []
    sizes = {
        "tiny": [(19, 31), (3, 2), (7, 11), (1, 1)],
        "wide": [(32, 11), (75, 40), (20, 26), (90, 9)],
        "tall": [(12, 32), (46, 30), (22, 60)],
        "square": [(24, 24), (13, 48), (50, 47)],
        "strip": [(31, 9), (40, 1)],
        "smooth": [(32, 24), (61, 43)],
    }
    for name, wanted in sizes.items():
        for index, (width, height) in enumerate(wanted):
            for label, code in FILTERS.items():
                if label != "bicubic" and index > 0:
                    continue
                file = f"resized/{name}-{width}x{height}-{label}.png"
                output = pictures[name].resize((width, height), resample=code)
                output.save(FIXTURES / file, optimize=True)
                cases.append({"picture": name, "filter": label, "file": file})
    write_json(FIXTURES / "resized.json", cases)


def processors():
    """Folders of image processors by name: small ones, and the defaults of the three families."""
    small = {"shortest_edge": 32}
    return {
        "clip-small": CLIPImageProcessorPil(size=small, crop_size=32),
        "clip-crop": CLIPImageProcessorPil(
            size={"shortest_edge": 40}, crop_size={"height": 25, "width": 31}, resample=2),
        "clip-margin": CLIPImageProcessorPil(size={"shortest_edge": 12}, crop_size=32),
        "clip-plain": CLIPImageProcessorPil(size=small, crop_size=32, do_normalize=False),
        "clip-squash": CLIPImageProcessorPil(
            size={"height": 20, "width": 28}, do_center_crop=False),
        "flava-small": FlavaImageProcessorPil(
            size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32}),
        "vilt-small": ViltImageProcessorPil(size=small, size_divisor=8),
        "clip-default": CLIPImageProcessorPil(),
        "flava-default": FlavaImageProcessorPil(),
        "vilt-default": ViltImageProcessorPil(),
    }


def pixel_values(pictures):
    """`pixel_values` of each processor; of the defaults' large outputs every 997th value."""
    tensors, cases = {}, []
    for name, processor in processors().items():
        folder = FIXTURES / "pixels" / name
        folder.mkdir(parents=True)
        processor.save_pretrained(folder)
        write_json(folder / "config.json", {"model_type": name.split("-")[0]})
        if name.startswith("vilt"):  # its picture comes with an empty text
            (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
        default = name.endswith("default")
        for label in ["wide", "tall", "smooth"] if default else [name for name, *_ in PICTURES]:
            if name == "vilt-small" and label == "strip":
                continue  # 22 : 1: its short side becomes 0 there
            values = processor(pictures[label], return_tensors="np")["pixel_values"][0]
            assert values.dtype == np.float32
            stride = 997 if default else 1
            key = f"{name}/{label}"
            tensors[key] = np.ascontiguousarray(values.reshape(-1)[::stride])
            cases.append({"processor": name, "picture": label, "shape": values.shape,
                          "stride": stride, "tensor": key})
    batch = ["wide", "tall", "smooth"]
    padded = processors()["vilt-small"]([pictures[label] for label in batch], return_tensors="np")
    tensors["batch/pixel_values"] = padded["pixel_values"]
    tensors["batch/pixel_mask"] = padded["pixel_mask"]
    save_file(tensors, FIXTURES / "pixels.safetensors")
    write_json(FIXTURES / "pixels.json", {"cases": cases, "batch": batch})


def torchvision_values(pictures):
    """`pixel_values` of the same cases with the `torchvision` back end, and the size of one level."""
    classes = {"clip": CLIPImageProcessor, "flava": FlavaImageProcessor, "vilt": ViltImageProcessor}
    tensors, cases = {}, []
    for case in json.loads((FIXTURES / "pixels.json").read_text())["cases"]:
        name, label, key = case["processor"], case["picture"], case["tensor"]
        if key == "clip-margin/tall":
            # A crop larger than the picture, by an odd number: the back ends centre it one pixel
            # apart, so they have no picture in common. No published processor crops so.
            continue
        processor = classes[name.split("-")[0]].from_pretrained(FIXTURES / "pixels" / name)
        values = processor(pictures[label], return_tensors="pt")["pixel_values"][0].numpy()
        assert list(values.shape) == case["shape"] and values.dtype == np.float32, key
        tensors[key] = np.ascontiguousarray(values.reshape(-1)[::case["stride"]])
        scale = processor.image_std if processor.do_normalize else [1.0]
        cases.append({**case, "level": 1 / 255 / min(scale)})
    save_file(tensors, FIXTURES / "pixels_torchvision.safetensors")
    write_json(FIXTURES / "pixels_torchvision.json", {"cases": cases})


def bytes_to_letters():
    """The 256 letters of a byte-level vocabulary (GPT-2)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in shown}
    rest = [byte for byte in range(256) if byte not in letters]
    letters.update({byte: chr(256 + index) for index, byte in enumerate(rest)})
    return [letters[byte] for byte in range(256)]


def merged(words, end=""):
    """Merges, and the pieces they make, that spell these words from left to right."""
    merges, pieces = [], []
    for word in words:
        letters = [*word[:-1], word[-1] + end]
        left = letters[0]
        for right in letters[1:]:
            if (left, right) not in merges:
                merges.append((left, right))
                pieces.append(left + right)
            left += right
    return merges, list(dict.fromkeys(pieces))


def tokenizer_folders():
    """Tiny tokenizers, each saved as transformers saves it or as older versions left it."""
    root = FIXTURES / "tokens"
    lower = [piece for piece in PIECES if piece == piece.lower()]
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *lower]
    beto = ["[MASK]", "[PAD]", "[EOS]", "[UNK]", "[CLS]", "[SEP]", *PIECES]
    bert_config = {"model_type": "bert", "max_position_embeddings": 64}

    def folder(name, config):
        path = root / name
        path.mkdir(parents=True)
        write_json(path / "config.json", config)
        return path

    def vocabulary(path, words, tokenizer_config=None):
        (path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        if tokenizer_config is not None:
            write_json(path / "tokenizer_config.json", tokenizer_config)

    def ids(words):
        return {word: index for index, word in enumerate(words)}

    BertTokenizer(vocab=ids(bert), model_max_length=32).save_pretrained(
        folder("bert-json", bert_config))
    BertTokenizer(vocab=ids(beto), do_lower_case=False, strip_accents=False).save_pretrained(
        folder("beto-json", bert_config))
    vocabulary(folder("bert-vocab", bert_config), bert)
    vocabulary(folder("beto-vocab", bert_config), beto, {
        "do_lower_case": False, "strip_accents": False, "model_max_length": 48})
    vocabulary(folder("beto-uncased-vocab", bert_config), beto, {
        "do_lower_case": True, "strip_accents": False, "pad_token": {
            "__type": "AddedToken", "content": "[PAD]", "special": True}})
    vocabulary(folder("no-chinese-vocab", bert_config), bert, {"tokenize_chinese_chars": False})
    # The two files disagree: transformers goes by tokenizer_config.json.
    overruled = folder("overruled-json", bert_config)
    BertTokenizer(vocab=ids(bert)).save_pretrained(overruled)
    config = json.loads((overruled / "tokenizer_config.json").read_text())
    write_json(overruled / "tokenizer_config.json",
               {**config, "do_lower_case": False, "strip_accents": False})

    spelled = ["Ġthe", "Ġred", "Ġcar", "the", "red", "car", "Ġnot", "'s", "Ġsi"]
    merges, pieces = merged(spelled)
    words = ["<s>", "<pad>", "</s>", "<unk>", *bytes_to_letters(), *pieces, "<mask>"]
    RobertaTokenizer(vocab=ids(words), merges=merges, model_max_length=24).save_pretrained(
        folder("roberta-json",
               {"model_type": "roberta", "max_position_embeddings": 34, "pad_token_id": 1}))
    merges, pieces = merged(["the", "red", "car", "not", "'s", "nino"], end="</w>")
    letters = bytes_to_letters()
    words = [*letters, *[letter + "</w>" for letter in letters], *pieces,
             "<|startoftext|>", "<|endoftext|>"]
    clip = CLIPTokenizer(vocab=ids(words), merges=merges, model_max_length=77)
    clip_folder = folder("clip-json", {
        "model_type": "clip", "text_config": {"max_position_embeddings": 20}})
    CLIPProcessor(CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size=8), clip) \
        .save_pretrained(clip_folder)
    ViltProcessor(ViltImageProcessorPil(size={"shortest_edge": 16}, size_divisor=8),
                  BertTokenizer(vocab=ids(bert), model_max_length=40)) \
        .save_pretrained(folder("vilt-json", {"model_type": "vilt"}))
    return sorted(path.name for path in root.iterdir())


def token_ids():
    """Ids of every text with every tokenizer, cut at 8 and not cut; and a padded batch."""
    classes = {"roberta": RobertaTokenizer, "clip": CLIPTokenizer}
    cases, batches = [], []
    for name in tokenizer_folders():
        loaded = classes.get(name.split("-")[0], BertTokenizer).from_pretrained(
            FIXTURES / "tokens" / name)
        automatic = AutoTokenizer.from_pretrained(FIXTURES / "tokens" / name)
        for label, text in TEXTS.items():
            full = loaded(text, return_token_type_ids=True)
            assert automatic(text)["input_ids"] == full["input_ids"], (name, label)
            cut = loaded(text, truncation=True, max_length=8)
            cases.append({
                "folder": name, "case": label, "text": text, "ids": full["input_ids"],
                "type_ids": full["token_type_ids"], "cut_at_8": cut["input_ids"],
            })
        texts = ["the red car", "", "not"]
        padded = loaded(texts, padding=True)
        longest = loaded(texts, padding="max_length", max_length=9, truncation=True)
        batches.append({
            "folder": name, "texts": texts, "pad_id": loaded.pad_token_id,
            "ids": padded["input_ids"], "attention_mask": padded["attention_mask"],
            "ids_of_9": longest["input_ids"],
        })
    write_json(FIXTURES / "tokens.json", {"cases": cases, "batches": batches})


def main():
    transformers.logging.set_verbosity_error()  # texts above the limit are wanted here
    for package, (found, pinned) in VERSIONS.items():
        assert found == pinned, f"{package} is {found}, expected {pinned}"
    assert torch.backends.cpu.get_cpu_capability() != "DEFAULT", "torchvision needs AVX2, see above"
    shutil.rmtree(FIXTURES, ignore_errors=True)
    (FIXTURES / "pictures").mkdir(parents=True)
    random = np.random.default_rng(SEED)
    pictures = {}
    for name, width, height, kind in PICTURES:
        pictures[name] = picture(width, height, kind, random)
        pictures[name].save(FIXTURES / f"pictures/{name}.png", optimize=True)
    write_json(FIXTURES / "versions.json", {
        "made by": "tests/references/processors.py", "seed": SEED,
        **{package: pinned for package, (_, pinned) in VERSIONS.items()}})
    resized(pictures)
    pixel_values(pictures)
    torchvision_values(pictures)
    token_ids()


if __name__ == "__main__":
    main()
