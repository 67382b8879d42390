# Reference ROC curves for mmc-metrics.
#
# Versions: Python 3.11, scikit-learn 1.9.1, numpy 2.4.6 (tests/references/requirements.txt)
# Run:      cargo xtask references roc
#
# Every distinct threshold is kept (drop_intermediate=False), as `roc_curve` does. Seed 7 for the drawn
# cases. Tolerance: 1e-12, shares of small counts.
import json
from pathlib import Path

import numpy
import sklearn
from sklearn.metrics import roc_curve

generator = numpy.random.default_rng(7)
drawn = generator.normal(size=40)
labels = (generator.random(40) < 0.3).astype(int)
cases = {
    "apart": ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),
    "the wrong way round": ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),
    "all tied": ([0.5, 0.5, 0.5], [1, 0, 1]),
    "ties across classes": ([0.1, 0.4, 0.4, 0.4, 0.7, 0.7], [0, 1, 0, 0, 1, 0]),
    "a zero of either sign": ([-0.0, 0.0, -1.0, 2.0], [1, 0, 0, 1]),
    "drawn": (drawn.tolist(), labels.tolist()),
    "drawn with ties": (numpy.round(drawn, 1).tolist(), labels.tolist()),
}
rows = []
for name, (scores, truth) in cases.items():
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    rows.append({"name": name, "scores": scores, "labels": truth, "fpr": fpr.tolist(), "tpr": tpr.tolist()})
file = {"versions": {"scikit-learn": sklearn.__version__, "numpy": numpy.__version__}, "cases": rows}
place = Path(__file__).resolve().parents[2] / "crates/metrics/tests/roc.json"
place.write_text(json.dumps(file, indent=1) + "\n")
