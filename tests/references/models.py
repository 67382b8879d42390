"""Checkpoints of each architecture made by transformers, and what transformers and PyTorch make of them.

    cargo xtask references models

writes `tests/fixtures/models`; with the names of architectures behind it, `python models.py roberta`
writes theirs alone:

    data/{train,val,test}.csv, data/img/*.png   24, 4 and 4 labelled rows; pictures of unequal sizes
    bert/, roberta/, vilt/, flava/, clip/       folders as `save_pretrained` writes them: two layers,
                                                every weight, bias and norm random; flava/ and clip/
                                                have their head in mmc_head.safetensors, since
                                                transformers has no class for it
    clip-open/                                  CLIP with GELU, the end token by its own id, and a head
                                                without the product
    bert-old/                                   the weights of bert/ as files of 2018 hold them: a pickle,
                                                norms called gamma and beta, a buffer, a language-model
                                                head, three weights that share one storage
    flava-pretraining/                          the weights of flava/ as the published file holds them: a
                                                pickle, each name with the prefix `flava.`, beside the parts
                                                that serve pretraining; a configuration that says each
                                                tower twice
    bert.json, roberta.json, vilt.json, …       what is expected of them:
        labels             the checkpoint's classes in its own order (not the data set's)
        ids                the first eight rows of train.csv, the batch of the next four keys
        input_ids          [rows][tokens], padded to the longest, and attention_mask likewise
        pooled, logits     [rows][...], in eval mode; logits in the checkpoint's order of classes
        loss               mean cross-entropy of that batch in eval mode
        gradients          by parameter: its norm, and its values; of the loss, in eval mode
        arms               FLAVA: pooled and logits of each arm; CLIP: pooled of either alone
        resized            FLAVA: pooled and logits of pictures of another size, [height, width], and
                           the gradient of the table of positions; CLIP: the picture's projection, and
                           that of the sum of its squares
        steps              losses of 50 steps of AdamW, dropout 0, on consecutive batches of eight
                           rows of train.csv, begun again at its end; see `train` for the settings

Tolerances that the tests use, and why: pooled outputs and logits 2e-5 absolute (f32 against f64 is
1.3e-6 to 1.8e-6 for such models), gradients 1e-4 relative L2 by parameter, losses of the steps 1e-3
relative. The gradient of a key bias is zero in exact arithmetic and compared absolutely.

The seed is fixed; the files are the same on each run with the pinned libraries on one kind of CPU.
"""

import csv
import json
import pathlib
import shutil
import sys
import types

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil
from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/fixtures/models"
CLASSES = ["loud", "odd", "calm"]  # not the data set's order, which is by bytes
MAX_LENGTH = 12
WORDS = (
    "a the dog cat train day night rain park tree red blue old new small big sleeps runs waits shines "
    "in under near very quite not quietly loudly oddly today again un ##der ##ly ##s ##ing walk play , . !"
).split()
SIZES = [(64, 64), (96, 64), (50, 90), (120, 40), (33, 47), (64, 80)]


def sentences(random, count):
    plain = [word for word in WORDS if not word.startswith("##")]
    for _ in range(count):
        length = int(random.integers(1, 16))
        yield " ".join(random.choice(plain + ["walking", "plays", "zebra", "Été"], length))


def write_data(random):
    folder = OUT / "data"
    (folder / "img").mkdir(parents=True, exist_ok=True)
    rows = {}
    for split, count in (("train", 24), ("val", 4), ("test", 4)):
        rows[split] = []
        for index, text in enumerate(sentences(random, count)):
            width, height = SIZES[int(random.integers(len(SIZES)))]
            name = f"img/{split}{index}.png"
            coarse = random.integers(0, 256, (4, 4, 3), dtype=numpy.uint8)
            Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST).save(folder / name)
            label = sorted(CLASSES)[int(random.integers(3))]
            rows[split].append({"id": f"{split}-{index}", "text": text, "image": name, "label": label})
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "text", "image", "label"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[split])
    return rows["train"]


def make_tokenizer():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + sorted("abcdefghijklmnopqrstuvwxyz") + WORDS
    vocabulary = list(dict.fromkeys(vocabulary))
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return transformers.BertTokenizer(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=16,
    ), len(vocabulary)


def unused(size, tokens):
    """Tokens that no text has, as many as make a vocabulary of `size`."""
    return [f"<unused{index}>" for index in range((size or 0) - len(tokens))]


def make_byte_tokenizer(words=WORDS[::2], size=None, max_length=16):
    """Bytes, and the beginnings of some words (by default every second), as one behind a space."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    for word in words:
        whole = "Ġ" + word.removeprefix("##")
        merges += [(whole[:end], whole[end]) for end in range(1, len(whole))]
    merges = list(dict.fromkeys(merges))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokens = letters + [left + right for left, right in merges] + ["<mask>"]
    vocabulary = special + unused(size, special + tokens) + tokens
    ids = {token: index for index, token in enumerate(vocabulary)}
    return transformers.RobertaTokenizer(vocab=ids, merges=merges, model_max_length=max_length), len(vocabulary)


def make_clip_tokenizer(special_first, words=WORDS[::2], size=None, max_length=16):
    """Bytes, each also as the end of a word, and the beginnings of some words."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    for word in words:
        whole = list(word.removeprefix("##"))
        whole[-1] += "</w>"
        merges += [("".join(whole[:end]), whole[end]) for end in range(1, len(whole))]
    merges = list(dict.fromkeys(merges))
    tokens = letters + [f"{letter}</w>" for letter in letters] + [left + right for left, right in merges]
    special = ["<|startoftext|>", "<|endoftext|>"]
    tokens = list(dict.fromkeys(special + tokens if special_first else tokens + special))
    ids = {token: index for index, token in enumerate(unused(size, tokens) + tokens)}
    return transformers.CLIPTokenizer(vocab=ids, merges=merges, model_max_length=max_length), len(ids)


def shared_config(vocabulary):
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 16,
        "id2label": dict(enumerate(CLASSES)),
        "label2id": {label: index for index, label in enumerate(CLASSES)},
    }


def perturb(model, matrix=0.15, norm=0.2, bias=0.1):
    """No weight keeps a value that would hide a mistake: not norms of one, not biases of zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name.lower() or name.startswith("classifier.1.")
            if is_norm and name.endswith("weight"):
                parameter.copy_(1 + norm * noise)
            elif parameter.dim() == 1:
                parameter.copy_(bias * noise)
            else:
                parameter.copy_(matrix * noise)


class Bert:
    name, data, max_length = "bert", OUT / "data", MAX_LENGTH

    def __init__(self):
        self.tokenizer, size = make_tokenizer()
        self.model = transformers.BertForSequenceClassification(transformers.BertConfig(**shared_config(size)))

    def save(self, folder):
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def inputs(self, rows):
        return self.tokenizer(
            [row["text"] for row in rows],
            padding="longest",
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )

    def pooled(self, inputs):
        return self.model.bert(**inputs).pooler_output

    def more(self, rows):
        """What is expected of this architecture alone."""
        return {}


class Roberta(Bert):
    name = "roberta"

    def __init__(self):
        self.tokenizer, size = make_byte_tokenizer()
        # Sizes of the published checkpoints: positions begin behind the pad id, one segment.
        config = {**shared_config(size), "max_position_embeddings": 18, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
        self.model = transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**config))

    def pooled(self, inputs):
        return self.model.roberta(**inputs).last_hidden_state[:, 0]


class Vilt(Bert):
    name = "vilt"

    def __init__(self):
        self.tokenizer, size = make_tokenizer()
        config = transformers.ViltConfig(
            **shared_config(size), image_size=32, patch_size=8, hidden_act="gelu", max_image_length=-1
        )
        self.model = transformers.ViltForQuestionAnswering(config)
        self.pictures = ViltImageProcessorPil(size={"shortest_edge": 32}, size_divisor=8)

    def save(self, folder):
        super().save(folder)
        self.pictures.save_pretrained(folder)

    def inputs(self, rows):
        pictures = [Image.open(self.data / row["image"]).convert("RGB") for row in rows]
        return {**super().inputs(rows), **self.pictures(pictures, return_tensors="pt")}

    def pooled(self, inputs):
        return self.model.vilt(**inputs).pooler_output


class FlavaClassifier(transformers.FlavaModel):
    """A linear head on the multimodal encoder's own token. An arm leaves out the other tower."""

    def __init__(self, config):
        super().__init__(config)
        self.classifier = torch.nn.Linear(config.multimodal_config.hidden_size, len(CLASSES))

    def pooled(self, arm, resized=False, **inputs):
        states, masks = [], [torch.ones(len(next(iter(inputs.values()))), 1)]
        if arm in ("both", "image"):
            tower = self.image_model(
                inputs["pixel_values"], interpolate_pos_encoding=resized, output_hidden_states=True
            )
            states.append(self.image_to_mm_projection(tower.hidden_states[-1]))
            masks.append(torch.ones(states[-1].shape[:2]))
        if arm in ("both", "text"):
            mask = inputs["attention_mask"]
            tower = self.text_model(inputs["input_ids"], attention_mask=mask, output_hidden_states=True)
            states.append(self.text_to_mm_projection(tower.hidden_states[-1]))
            masks.append(mask)
        output = self.multimodal_model(torch.cat(states, 1), attention_mask=torch.cat(masks, 1))
        return output.last_hidden_state[:, 0]

    def forward(self, **inputs):
        states = transformers.FlavaModel.forward(self, **inputs).multimodal_embeddings
        return types.SimpleNamespace(states=states, logits=self.classifier(states[:, 0]))


class Flava(Bert):
    name = "flava"

    def __init__(self):
        self.tokenizer, size = make_tokenizer()
        shared = shared_config(size)

        def tower(width, **more):
            keys = ("num_hidden_layers", "num_attention_heads", "intermediate_size")
            return {"hidden_size": width, **{key: shared[key] for key in keys}, **more}

        # Each width another one, so that none can stand for another.
        config = transformers.FlavaConfig(
            text_config=tower(24, vocab_size=size, max_position_embeddings=16),
            image_config=tower(32, image_size=32, patch_size=8, vocab_size=6),
            multimodal_config=tower(28, num_hidden_layers=1),
            image_codebook_config={"hidden_size": 4, "vocab_size": 6, "num_groups": 4},
            hidden_size=20,
            projection_dim=12,
            id2label=shared["id2label"],
            label2id=shared["label2id"],
        )
        self.model = FlavaClassifier(config)
        self.pictures = self.processor(32, 32)

    def processor(self, height, width):
        size = {"height": height, "width": width}
        return FlavaImageProcessorPil(size=size, crop_size=size, return_codebook_pixels=False)

    def backbone(self, kind):
        """A model of transformers with these weights."""
        model = kind(self.model.config)
        perturb(model)
        own = {name: value for name, value in self.model.state_dict().items() if not name.startswith("classifier.")}
        part = model.flava if hasattr(model, "flava") else model
        part.load_state_dict(own)
        return model

    def save(self, folder):
        self.backbone(transformers.FlavaModel).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.pictures.save_pretrained(folder)
        head = {f"classifier.{name}": value for name, value in self.model.classifier.state_dict().items()}
        save_file(head, folder / "mmc_head.safetensors", {"format": "pt"})
        (folder / "mmc_head.safetensors").chmod(0o644)
        notes = {"preset": "flava", "arm": "both", "head": "linear", "classes": CLASSES}
        (folder / "mmc.json").write_text(json.dumps(notes, indent=2) + "\n")
        self.save_pretraining(OUT / "flava-pretraining")

    def save_pretraining(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        model = self.backbone(transformers.FlavaForPreTraining)
        model.config.architectures = ["FlavaForPreTraining"]
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        config = json.loads((folder / "config.json").read_text())
        for name in ("text", "image", "multimodal"):
            # The older object wins.
            config[f"{name}_config_dict"] = dict(config[f"{name}_config"])
            config[f"{name}_config"]["num_hidden_layers"] = 9
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        read = transformers.FlavaModel.from_pretrained(folder)
        for name, value in read.state_dict().items():
            assert torch.equal(value, self.model.state_dict()[name]), name

    def inputs(self, rows, pictures=None):
        files = [Image.open(self.data / row["image"]).convert("RGB") for row in rows]
        return {**super().inputs(rows), **(pictures or self.pictures)(files, return_tensors="pt")}

    def pooled(self, inputs):
        return self.model(**inputs).states[:, 0]

    def more(self, rows):
        inputs = self.inputs(rows)
        arms = {arm: self.model.pooled(arm, **inputs) for arm in ("both", "text", "image")}
        assert torch.equal(arms["both"], self.pooled(inputs))
        size = [48, 40]
        resized = self.model.pooled("both", True, **self.inputs(rows, self.processor(*size)))
        targets = torch.tensor([CLASSES.index(row["label"]) for row in rows])
        self.model.zero_grad()
        torch.nn.functional.cross_entropy(self.model.classifier(resized), targets).backward()
        table = self.model.image_model.embeddings.position_embeddings

        def outputs(pooled):
            return {"pooled": pooled.tolist(), "logits": self.model.classifier(pooled).tolist()}

        return {
            "arms": {arm: outputs(pooled) for arm, pooled in arms.items()},
            "resized": {"size": size, **outputs(resized), "position_gradient": table.grad.flatten().tolist()},
        }


class ClipClassifier(transformers.CLIPModel):
    """Two layers over [t; v; t * v] or over [t; v], the projections as they are."""

    def __init__(self, config, fuses):
        super().__init__(config)
        self.fuses, width = fuses, config.projection_dim
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear((3 if fuses else 2) * width, width),
            torch.nn.GELU(),
            torch.nn.Linear(width, len(CLASSES)),
        )

    def projections(self, resized=False, **inputs):
        text = self.get_text_features(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        image = self.get_image_features(inputs["pixel_values"], interpolate_pos_encoding=resized)
        return text.pooler_output, image.pooler_output

    def forward(self, **inputs):
        text, image = self.projections(**inputs)
        fused = [text * image] if self.fuses else []
        return types.SimpleNamespace(
            projections=torch.cat([text, image], 1), logits=self.classifier(torch.cat([text, image, *fused], 1))
        )


class Clip(Bert):
    """As OpenAI's: quick GELU; the configuration names token 2 as the end, so the largest id is taken for it."""

    name, head, activation, end = "clip", "fused", "quick_gelu", 2

    def __init__(self):
        old = self.end == 2
        self.tokenizer, size = make_clip_tokenizer(special_first=not old)
        shared = shared_config(size)

        def tower(width, **more):
            keys = ("num_hidden_layers", "num_attention_heads", "intermediate_size")
            return {"hidden_size": width, "hidden_act": self.activation, **{key: shared[key] for key in keys}, **more}

        ids = {"bos_token_id": 0, "eos_token_id": self.end, "pad_token_id": 1}
        # Each width another one, so that none can stand for another.
        config = transformers.CLIPConfig(
            text_config=tower(24, vocab_size=size, max_position_embeddings=16, **ids),
            vision_config=tower(32, image_size=32, patch_size=8),
            projection_dim=20,
            id2label=shared["id2label"],
            label2id=shared["label2id"],
        )
        self.model = ClipClassifier(config, self.head == "fused")
        self.pictures = self.processor(32, 32)

    def processor(self, height, width):
        size = {"height": height, "width": width}
        return CLIPImageProcessorPil(size={"shortest_edge": max(height, width)}, crop_size=size)

    def save(self, folder):
        backbone = transformers.CLIPModel(self.model.config)
        own = {name: value for name, value in self.model.state_dict().items() if not name.startswith("classifier.")}
        backbone.load_state_dict(own)
        backbone.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.pictures.save_pretrained(folder)
        head = {f"classifier.{name}": value for name, value in self.model.classifier.state_dict().items()}
        save_file(head, folder / "mmc_head.safetensors", {"format": "pt"})
        (folder / "mmc_head.safetensors").chmod(0o644)
        notes = {"preset": "clip", "arm": "both", "head": self.head, "classes": CLASSES}
        (folder / "mmc.json").write_text(json.dumps(notes, indent=2) + "\n")

    def inputs(self, rows, pictures=None):
        files = [Image.open(self.data / row["image"]).convert("RGB") for row in rows]
        return {**super().inputs(rows), **(pictures or self.pictures)(files, return_tensors="pt")}

    def pooled(self, inputs):
        return self.model(**inputs).projections

    def more(self, rows):
        size = [48, 40]
        text, image = self.model.projections(**self.inputs(rows))
        _, resized = self.model.projections(True, **self.inputs(rows, self.processor(*size)))
        self.model.zero_grad()
        resized.square().sum().backward()
        table = self.model.vision_model.embeddings.position_embedding.weight
        return {
            "arms": {"text": {"pooled": text.tolist()}, "image": {"pooled": image.tolist()}},
            "resized": {
                "size": size,
                "pooled": resized.tolist(),
                "position_gradient": table.grad.flatten().tolist(),
            },
        }


class ClipOpen(Clip):
    """As others': GELU, and the end token's own id, here not the largest."""

    name, head, activation, end = "clip-open", "mlp", "gelu", 1


def loss_of(kind, rows):
    logits = kind.model(**kind.inputs(rows)).logits
    targets = torch.tensor([CLASSES.index(row["label"]) for row in rows])
    return logits, torch.nn.functional.cross_entropy(logits, targets)


def train(kind, rows, steps=50, warmup=0, rate=1e-3, batch=8):
    """AdamW, warmed up, then linear to 0, decay 0.01 but on biases and norms, clipped to norm 1."""
    groups = [{"params": [], "weight_decay": 0.01}, {"params": [], "weight_decay": 0.0}]
    for name, value in kind.model.named_parameters():
        plain = name.endswith("bias") or "norm" in name.lower() or name.startswith("classifier.1.")
        groups[int(plain)]["params"].append(value)
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-8)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    kind.model.eval()  # dropout 0
    losses = []
    for step in range(steps):
        start = step * batch % len(rows)
        optimizer.zero_grad()
        _, loss = loss_of(kind, rows[start : start + batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(kind.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def expectations(kind, rows):
    kind.model.eval()
    batch = rows[:8]
    inputs = kind.inputs(batch)
    kind.model.zero_grad()
    logits, loss = loss_of(kind, batch)
    loss.backward()
    return {
        "made_by": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "labels": CLASSES,
        "ids": [row["id"] for row in batch],
        "max_length": MAX_LENGTH,
        "input_ids": inputs["input_ids"].tolist(),
        "attention_mask": inputs["attention_mask"].tolist(),
        "pooled": kind.pooled(inputs).tolist(),
        "logits": logits.tolist(),
        "loss": loss.item(),
        "gradients": {
            name: {"norm": value.grad.norm().item(), "values": value.grad.flatten().tolist()}
            for name, value in kind.model.named_parameters()
            if value.grad is not None
        },
        **kind.more(batch),
        "steps": train(kind, rows),
    }


def write_old(folder):
    """`pytorch_model.bin` with the names, buffers and shared storages of old files."""
    state = transformers.BertForSequenceClassification.from_pretrained(OUT / "bert").state_dict()
    old = {}
    for name, value in state.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        old[name] = value.clone()
    prefix = "bert.encoder.layer.0.attention.self."
    parts = [f"{prefix}{part}.weight" for part in ("query", "key", "value")]
    packed = torch.cat([old[part] for part in parts])
    for index, part in enumerate(parts):
        old[part] = packed[32 * index : 32 * (index + 1)]  # views at an offset
    dense = "bert.pooler.dense.weight"
    old[dense] = old[dense].t().contiguous().t()  # column by column
    old["bert.embeddings.position_ids"] = torch.arange(16).unsqueeze(0)
    old["cls.predictions.bias"] = torch.zeros(7)
    folder.mkdir()
    torch.save(old, folder / "pytorch_model.bin")
    shutil.copy(OUT / "bert/config.json", folder)


KINDS = [Bert, Roberta, Clip, ClipOpen, Vilt, Flava]


def write(kind_of, rows):
    """The checkpoint of one architecture and what is expected of it: the same whatever else is written."""
    torch.manual_seed(2)
    kind = kind_of()
    perturb(kind.model)
    folder = OUT / kind.name
    shutil.rmtree(folder, ignore_errors=True)
    kind.save(folder)
    (folder / "model.safetensors").chmod(0o644)
    text = json.dumps(expectations(kind, rows))
    (OUT / f"{kind.name}.json").write_text(text + "\n")


def main(names):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    kinds = {kind.name: kind for kind in KINDS}
    unknown = [name for name in names if name not in kinds]
    if unknown:
        raise SystemExit(f"no architecture {', '.join(unknown)}; there are {', '.join(kinds)}")
    if not names:
        shutil.rmtree(OUT, ignore_errors=True)
    rows = write_data(numpy.random.default_rng(5))
    for name in names or kinds:
        write(kinds[name], rows)
    if "bert" in (names or kinds):
        shutil.rmtree(OUT / "bert-old", ignore_errors=True)
        write_old(OUT / "bert-old")


if __name__ == "__main__":
    main(sys.argv[1:])
