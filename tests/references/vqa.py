# Reference accuracies of VQA v2 for mmc-metrics: 10,000 generated sets of ten answers and a prediction.
#
# Versions: Python 3.11, the standard library, and the official evaluation script of VQA at the commit
#           below, which is not kept here: it is read from .python/vqa/vqaEval.py (ignored by git),
#           downloaded there where it is absent, and only used where its checksum is the known one.
# Run:      cargo xtask references vqa
#
# The script is for Python 2; its `print` statements are rewritten, all else runs as it is. Digits are
# those of ASCII in every case, on which both Pythons agree. Seed 11. Tolerance: 1e-9.
import contextlib
import hashlib
import io
import json
import random
import re
import urllib.request
from pathlib import Path

COMMIT = "a013f0043c1e2cdc995922dfe257f7149aa9af06"
SHA256 = "f08edfcad5be0112500993e245c706b6cb928eadebe203f89f838e5e0d04bec8"
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".python/vqa/vqaEval.py"
PLACE = ROOT / "crates/metrics/tests/vqa.json"
CASES = 10_000


def official():
    """The class VQAEval of the official script."""
    if not SCRIPT.is_file():
        SCRIPT.parent.mkdir(parents=True, exist_ok=True)
        path = "PythonEvaluationTools/vqaEvaluation/vqaEval.py"
        url = f"https://raw.githubusercontent.com/GT-Vision-Lab/VQA/{COMMIT}/{path}"
        urllib.request.urlretrieve(url, SCRIPT)
    source = SCRIPT.read_bytes()
    found = hashlib.sha256(source).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{SCRIPT}: SHA-256 {found}, expected {SHA256}; remove it and run again")
    source = re.sub(r'print ("[^"]*")', r"print(\1)", source.decode())
    space = {}
    exec(compile(source, str(SCRIPT), "exec"), space)
    return space["VQAEval"]


class Questions:
    """What the script reads of questions and of results."""

    def __init__(self, entries):
        self.qa = entries

    def getQuesIds(self):
        return list(self.qa)


CONCEPTS = [
    ["two", "2", "two dogs", "2 dogs"], ["none", "zero", "0"], ["ten", "10"], ["one", "1", "a one"],
    ["red", "dark red", "red and white", "white/red", "red, white"], ["yes", "no", "maybe"],
    ["black-and-white", "black and white", "black white"], ["3.5", "3,5", "3. 5", "35", "3.", "3"],
    ["1,000", "1000", "1,000-2", "1 000"], ["u.s.a", "usa", "u s a"], ["12:30", "12 30", "1230"],
    ["café", "cafe", "CAFÉ"], ["tony's", "tonys", "tony s"], ["the", "a", "an", ""],
    ["on the table", "on a table", "on table", "table"], ["i don't know", "i dont know", "don't know"],
    ["t-shirt", "t shirt", "tshirt", "t_shirt"], ["stop (sign)", "stop sign", "stop [sign]"],
    ["man@work", "man work"], ["left>right", "left right"], ["hot dog", "hotdog", "hot  dog"],
    ["'ow's'at", "ow's'at"], ["5 o'clock", "5 oclock", "five oclock"], ["...", "..", "."],
]


def variants(text):
    marks = [";", "/", "[", "]", '"', "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`",
             ",", "?", "!", ".", ":", "'"]
    mark = random.choice(marks)
    changes = [
        text, text, text, text.upper(), text.capitalize(), f"the {text}", f"A {text}", f"{text}.",
        f"{text}{mark}", f"{mark}{text}", f"{text} {mark}", f"{text}\n", f"\t{text}  ",
        text.replace(" ", mark), text.replace(" ", "\t"), text.replace("'", ""), f"{text}{mark} {text}",
    ]
    return random.choice(changes)


def main():
    random.seed(11)
    judge = official()
    contractions = judge(Questions({}), Questions({})).contractions
    concepts = CONCEPTS + [[key, value, value.replace("'", "")] for key, value in contractions.items()]
    pool, places = [], {}

    def place(text):
        if text not in places:
            places[text] = len(pool)
            pool.append(text)
        return places[text]

    cases, given, predicted = [], {}, {}
    for case in range(CASES):
        concept = random.choice(concepts)
        theme = [variants(random.choice(concept)) for _ in range(random.choice([1, 2, 2, 3, 4, 5]))]
        if random.random() < 0.2:
            theme.append(variants(random.choice(random.choice(concepts))))
        answers = [random.choice(theme) for _ in range(10)]
        prediction = random.choice(theme) if random.random() < 0.6 else variants(random.choice(concept))
        cases.append([place(prediction), [place(answer) for answer in answers]])
        people = [{"answer": answer, "answer_id": at + 1} for at, answer in enumerate(answers)]
        types = {"question_type": f"type {case % 7}", "answer_type": ["yes/no", "number", "other"][case % 3]}
        given[case] = {"answers": people, **types}
        predicted[case] = {"answer": prediction}
    evaluation = judge(Questions(given), Questions(predicted), n=12)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    for case, row in enumerate(cases):
        row.append(evaluation.evalQA[case])
    accuracy = evaluation.accuracy
    file = {
        "commit": COMMIT,
        "pool": pool,
        "overall": accuracy["overall"],
        "by_question_type": accuracy["perQuestionType"],
        "by_answer_type": accuracy["perAnswerType"],
        "cases": cases,
    }
    PLACE.write_text(json.dumps(file, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases, {len(pool)} texts, overall {accuracy['overall']}")


main()
