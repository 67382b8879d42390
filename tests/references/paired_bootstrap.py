# Reference p-values of the paired bootstrap for mmc-metrics.
#
# Versions: Python 3.11, scipy 1.17.1, scikit-learn 1.9.1, numpy 2.4.6 (tests/references/requirements.txt)
# Run:      cargo xtask references paired_bootstrap
#
# scipy.stats.bootstrap (paired, 40,000 resamples; AUROC 20,000, seed 11) resamples the items; p by shifting its
# distribution to the null (share with |t* - t| >= |t|), and twice the smaller share beside 0. Tolerance:
# five Monte-Carlo standard errors of both sides, sqrt(p (1 - p) (1/R + 1/B)), and 1/B; that of the
# standard error is 5 %.
import json
from pathlib import Path

import numpy
import scipy
import sklearn
from scipy.stats import bootstrap, rankdata
from sklearn.metrics import roc_auc_score

RESAMPLES = 40_000
generator = numpy.random.default_rng(11)


def shifted(distribution, observed):
    # Equal values that were rounded on different ways are equal.
    return float(numpy.mean(abs(distribution - observed) >= abs(observed) * (1 - 1e-12)))


def beside(distribution):
    return float(min(1.0, 2 * min(numpy.mean(distribution <= 0), numpy.mean(distribution >= 0))))


def case(name, metric, labels, a, b, statistic, resamples=RESAMPLES):
    observed = statistic(labels, a, b)
    items = numpy.arange(len(labels))
    drawn = bootstrap(
        (items,), lambda rows: statistic(labels[rows], a[:, rows], b[:, rows]), n_resamples=resamples,
        vectorized=False, method="percentile", rng=numpy.random.default_rng(11),
    )
    distribution = drawn.bootstrap_distribution
    return {
        "name": name, "metric": metric, "labels": labels.tolist(), "baseline": a.tolist(), "candidate": b.tolist(),
        "resamples": resamples, "difference": float(observed), "p_value": shifted(distribution, observed),
        "p_inverted": beside(distribution), "standard_error": float(drawn.standard_error),
        "interval": [float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)],
    }


def accuracy(labels, a, b):
    return float(numpy.mean((b >= 0.5) == labels) - numpy.mean((a >= 0.5) == labels))


def auroc(labels, a, b):
    positives = labels.sum()  # never none and never all at these sizes
    pairs = positives * (len(labels) - positives)
    mean = lambda rows: (rankdata(rows, axis=1)[:, labels == 1].sum(axis=1) - positives * (positives + 1) / 2).mean() / pairs
    return float(mean(b) - mean(a))


def drawn(items, files, separation):
    labels = (generator.random(items) < 0.4).astype(int)
    shared = generator.normal(size=items)
    scores = separation * labels + 0.7 * shared + 0.7 * generator.normal(size=(files, items))
    return labels, 1 / (1 + numpy.exp(-(scores - separation / 2)))


rows = []
for name, items, files, gain in [("a small gain", 80, 1, 0.5), ("no gain", 120, 1, 0.0), ("three files a side", 60, 3, 0.6)]:
    labels, a = drawn(items, files, 0.8)
    noise = 0.3 * generator.normal(size=a.shape)
    b = 1 / (1 + numpy.exp(-(numpy.log(a / (1 - a)) + gain * (labels - 0.4) + noise)))
    theirs = numpy.mean([roc_auc_score(labels, row) for row in b]) - numpy.mean([roc_auc_score(labels, row) for row in a])
    assert abs(theirs - auroc(labels, a, b)) < 1e-12
    rows.append(case(name, "accuracy", labels, a, b, accuracy))
    rows.append(case(name, "auroc", labels, a, b, auroc, resamples=20_000))
versions = {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "numpy": numpy.__version__}
place = Path(__file__).resolve().parents[2] / "crates/metrics/tests/paired_bootstrap.json"
place.write_text(json.dumps({"versions": versions, "cases": rows}, indent=1) + "\n")
