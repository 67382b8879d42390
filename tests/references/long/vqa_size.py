# A stand-in for VQA v2 at its true size: 443,757 + 214,354 questions with ten answers each, and empty
# files for the pictures, which readers look for and do not open. It holds nothing of the real set.
#
# Versions: Python 3.11, the standard library. Seed 5.
# Run:      cargo xtask references vqa_size
#           then  /usr/bin/time -v target/release/mmc data info --dataset vqa_v2 --data-root target/vqa_size
#
# Answers are drawn with the long tail of the real ones (rank r with a weight of 1 / r), so that a
# vocabulary of a few thousand results.
import itertools
import json
import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3] / "target/vqa_size"
random.seed(5)
ANSWERS = ["yes", "no", "2", "1", "white", "red"] + [f"answer {rank}" for rank in range(20_000)]
WEIGHTS = list(itertools.accumulate(1 / rank for rank in range(1, len(ANSWERS) + 1)))
TYPES = ["what is the", "is the", "how many", "what color is the", "none of the above", "is there a"]


def draw(count):
    return random.choices(ANSWERS, cum_weights=WEIGHTS, k=count)


def write(name, pictures, rows, first):
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    images = [first + 7 * number for number in range(pictures)]
    for image in images:
        (folder / f"COCO_{name}_{image:012}.jpg").touch()
    used = {}
    questions, annotations = [], []
    for row in range(rows):
        image = images[row % pictures]
        number = used[image] = used.get(image, -1) + 1
        identity = image * 1000 + number
        said, other = draw(1)[0], draw(3)
        given = [said] * 7 + other
        questions.append({
            "image_id": image,
            "question": f"what is the thing number {row} near the {random.randrange(9999)}?",
            "question_id": identity,
        })
        annotations.append({
            "question_type": random.choice(TYPES),
            "multiple_choice_answer": said,
            "answers": [
                {"answer": answer, "answer_confidence": "yes", "answer_id": person + 1}
                for person, answer in enumerate(given)
            ],
            "image_id": image,
            "answer_type": random.choice(["yes/no", "number", "other"]),
            "question_id": identity,
        })
    for file, key, entries in [
        (f"v2_OpenEnded_mscoco_{name}_questions.json", "questions", questions),
        (f"v2_mscoco_{name}_annotations.json", "annotations", annotations),
    ]:
        path = ROOT / file
        path.write_text(json.dumps({"info": {}, "data_subtype": name, key: entries}))
        print(f"{path}: {path.stat().st_size / 2**20:.0f} MiB")


write("train2014", 82_783, 443_757, 9)
write("val2014", 40_504, 214_354, 42)
