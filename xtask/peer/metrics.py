"""What `crates/metrics/benches/beside.rs` does, as a user of scikit-learn would type it.

    .python/bin/python xtask/peer/metrics.py make FOLDER          a million scores for both sides
    .python/bin/python xtask/peer/metrics.py run FOLDER WORK

The second form answers each line of its input with a line of JSON, as the Rust side does. A bootstrap is
the loop over `resample`d indices that scikit-learn's users write; it has none of its own.
"""

import json
import pathlib
import sys
import time

import numpy

ITEMS = 1_000_000
REPLICATES = 10  # as in crates/metrics/benches/beside.rs


def make(folder):
    random = numpy.random.default_rng(20261126)
    positive = random.random(ITEMS) < 0.4
    logits = random.standard_normal(ITEMS) + positive
    scores = 1 / (1 + numpy.exp(-logits))
    folder.mkdir(parents=True, exist_ok=True)
    scores.astype("<f8").tofile(folder / "scores.f64")
    positive.astype("u1").tofile(folder / "positive.u8")


def work(name, positive, scores):
    from sklearn.metrics import average_precision_score, roc_auc_score

    score = {"auroc": roc_auc_score, "average_precision": average_precision_score}[name.removeprefix("bootstrap_")]
    if not name.startswith("bootstrap_"):
        return lambda: score(positive, scores)

    def bootstrap():
        random = numpy.random.default_rng(0)
        values = []
        for _ in range(REPLICATES):
            drawn = random.integers(0, len(scores), len(scores))
            values.append(score(positive[drawn], scores[drawn]))
        return numpy.quantile(values, 0.025)

    return bootstrap


def run(folder, name):
    scores = numpy.fromfile(folder / "scores.f64", "<f8")
    positive = numpy.fromfile(folder / "positive.u8", "u1")
    once = work(name, positive, scores)
    print("{}", flush=True)
    for _ in sys.stdin:
        started, before = time.perf_counter(), time.process_time()
        value = once()
        wall, cpu = time.perf_counter() - started, time.process_time() - before
        print(json.dumps({"wall": wall, "cpu": cpu, "loss": float(value)}), flush=True)
    print("{}", flush=True)


if __name__ == "__main__":
    verb, folder, *rest = sys.argv[1:]
    if verb == "make":
        make(pathlib.Path(folder))
    else:
        run(pathlib.Path(folder), *rest)
