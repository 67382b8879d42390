#!/usr/bin/env python3
"""Build this folder's tables and pictures from the npm package emoji-datasource-google 16.0.0.

    npm pack emoji-datasource-google@16.0.0
    tar -xzf emoji-datasource-google-16.0.0.tgz
    python3 data/emoji/build.py package

Python's standard library is all it needs, and the same package gives the same bytes. It writes
train.csv, val.csv, test.csv and img/ beside itself, and replaces what is there.
"""

import collections
import csv
import hashlib
import json
import pathlib
import re
import shutil
import sys

VERSION = "16.0.0"
FRACTIONS = (("train", 0.70), ("val", 0.15), ("test", 0.15))
# Five skin tone swatches: too few to learn.
DROPPED_CATEGORIES = {"Component"}


def label_words(categories):
    """The words of the class names, in plural and singular."""
    words = set()
    for category in categories:
        for word in re.findall(r"[a-z]+", category.lower()):
            words.add(word)
            if word.endswith("ies"):
                words.add(word[:-3] + "y")
            elif word.endswith("s"):
                words.add(word[:-1])
    return words


def readable(name, hidden):
    """The name in lower case, without the words that would give its class away."""
    kept = [word for word in name.lower().split() if word.strip("():,.") not in hidden]
    return " ".join(kept).strip(" ,:")


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_rows(package):
    """Rows with distinct texts and distinct pictures, and how many were left out and why."""
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    entries = [e for e in entries if e["category"] not in DROPPED_CATEGORIES]
    hidden = label_words({e["category"] for e in entries})
    rows, texts, pictures = [], set(), set()
    left_out = collections.Counter()
    for entry in sorted(entries, key=lambda e: e["sort_order"]):
        source = package / "img" / "google" / "64" / entry["image"]
        text = readable(entry["name"], hidden)
        content = hashlib.sha256(source.read_bytes()).hexdigest()
        if not text:
            left_out["no text left"] += 1
        elif text in texts:
            left_out["text seen before"] += 1
        elif content in pictures:
            left_out["picture seen before"] += 1
        else:
            texts.add(text)
            pictures.add(content)
            rows.append(
                {
                    "id": entry["unified"].lower(),
                    "text": text,
                    "image": f"img/{entry['image']}",
                    "label": entry["category"],
                    "source": source,
                }
            )
    return rows, left_out


def split_rows(rows):
    """The same share of every class in each split, by the hash of the id."""
    by_label = collections.defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    splits = {name: [] for name, _ in FRACTIONS}
    for label in sorted(by_label):
        members = sorted(by_label[label], key=lambda row: digest(row["id"]))
        start, share = 0, 0.0
        for name, fraction in FRACTIONS:
            share += fraction
            end = round(share * len(members))
            splits[name].extend(members[start:end])
            start = end
    for members in splits.values():
        members.sort(key=lambda row: digest("order " + row["id"]))
    return splits


def write(splits, out):
    pictures = out / "img"
    if pictures.exists():
        shutil.rmtree(pictures)
    pictures.mkdir()
    for name, members in splits.items():
        with open(out / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["id", "text", "image", "label"])
            for row in members:
                table.writerow([row["id"], row["text"], row["image"], row["label"]])
                shutil.copyfile(row["source"], out / row["image"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    package = pathlib.Path(sys.argv[1])
    found = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    if found != VERSION:
        sys.exit(f"{package}/package.json: `version` is `{found}`, expected `{VERSION}`")
    rows, left_out = read_rows(package)
    splits = split_rows(rows)
    write(splits, pathlib.Path(__file__).resolve().parent)
    for name, members in splits.items():
        counts = collections.Counter(row["label"] for row in members)
        print(name, len(members), dict(sorted(counts.items())))
    print("left out:", dict(left_out))


if __name__ == "__main__":
    main()
