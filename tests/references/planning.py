# Reference values for planning, equivalence, calibration and thresholds in mmc-metrics.
#
# Versions: Python 3.11, scipy 1.17.1, scikit-learn 1.9.1, numpy 2.4.6 (tests/references/requirements.txt)
# Run:      cargo xtask references planning
#
# scipy for the noncentral t and chi-square distributions, for one-sided t tests and for the minimum of the
# negative log-likelihood; scikit-learn for F1 and balanced accuracy at every threshold; numpy for almost
# stochastic order from its definition, on a grid of quantiles finer than any step. Chances of a verdict by
# simulating the estimate and its estimated error, each from its own distribution. Seed 20261126; the
# tolerances are in the test, beside the reason.
import json
import pathlib

import numpy
import scipy
import sklearn
from scipy import optimize, stats
from sklearn.metrics import balanced_accuracy_score, f1_score

random = numpy.random.default_rng(20261126)
OUT = pathlib.Path(__file__).parents[2] / "crates/metrics/tests/planning.json"


def noncentral_t():
    rows = []
    for df in [1, 2, 2.7, 4, 9.75, 40, 333.3, 10000]:
        for shift in [-2, 0, 0.7, 2.5, 5]:
            for t in [-3, -1, 0, 0.5, 2, 4.3]:
                rows.append([t, df, shift, float(stats.nct.cdf(t, df, shift)) if shift else float(stats.t.cdf(t, df))])
    return rows


def chi_square():
    return [[p, df, float(stats.chi2.ppf(p, df))] for df in [1, 2, 4, 9, 50] for p in [0.001, 0.025, 0.5, 0.975]]


def deviations():
    def ends(seeds):
        return [float(numpy.sqrt((seeds - 1) / stats.chi2.ppf(p, seeds - 1))) for p in (0.975, 0.025)]

    return [[seeds, ends(seeds)] for seeds in (2, 3, 5, 10)]


def chances():
    """Draws of the estimate and of its estimated error, put through the rule."""
    rows, draws = [], 4_000_000
    for items, seeds, tau, omega, epsilon, gain in [
        (500, 3, 0.012, 0.18, 0.05, 0.04),
        (500, 5, 0.012, 0.18, 0.05, 0.0),
        (2000, 3, 0.012, 0.18, 0.05, 0.06),
        (2000, 5, 0.02, 0.18, 0.05, 0.02),
        (20000, 2, 0.004, 0.1, 0.02, 0.005),
    ]:
        margin, level = 0.02, 0.95
        v = tau**2 / seeds + epsilon / (seeds * items)
        variance = 2 * v + omega / items
        df = variance**2 / (2 * v**2 / (seeds - 1))
        estimate = gain + numpy.sqrt(variance) * random.standard_normal(draws)
        half = stats.t.ppf(0.5 + level / 2, df) * numpy.sqrt(variance * random.chisquare(df, draws) / df)
        candidate = float(numpy.mean((estimate - half > 0) & (estimate >= margin)))
        baseline = float(numpy.mean(estimate + half < margin))
        rows.append(dict(items=items, seeds=seeds, tau=tau, omega=omega, epsilon=epsilon, gain=gain, margin=margin,
                         candidate=candidate, baseline=baseline, draws=draws))
    return rows


def equivalence():
    rows = []
    for margin in [0.2, 0.5, 1.0]:
        gaps = [round(float(x), 6) for x in random.normal(0.1, 0.5, 12)]
        lower = stats.ttest_1samp(gaps, -margin, alternative="greater").pvalue
        upper = stats.ttest_1samp(gaps, margin, alternative="less").pvalue
        interval = stats.ttest_1samp(gaps, 0).confidence_interval(0.9)
        rows.append(dict(gaps=gaps, margin=margin, lower=float(lower), upper=float(upper),
                         interval=[float(interval.low), float(interval.high)]))
    return rows


def temperature():
    rows = []
    for scale, classes in [(3.0, 2), (0.4, 3), (1.0, 5)]:
        logits = numpy.round(random.standard_normal((60, classes)), 6)
        gumbel = random.gumbel(size=logits.shape)
        labels = (logits + gumbel).argmax(axis=1)
        logits = numpy.round(scale * logits, 6)

        def loss(inverse):
            return float(numpy.mean(scipy.special.logsumexp(inverse * logits, axis=1)
                                    - inverse * logits[numpy.arange(60), labels]))

        best = optimize.minimize_scalar(loss, bounds=(1e-3, 100), method="bounded", options=dict(xatol=1e-12))
        rows.append(dict(logits=logits.tolist(), labels=labels.tolist(), temperature=1 / best.x, before=loss(1.0),
                         after=best.fun))
    return rows


def thresholds():
    rows = []
    for digits in (1, 3):
        positive = random.random(40) < 0.4
        scores = numpy.round(numpy.clip(random.normal(0.4, 0.2, 40) + 0.25 * positive, 0, 1), digits)
        row = dict(scores=scores.tolist(), positive=positive.tolist())
        for name, score in [("f1", f1_score), ("balanced_accuracy", balanced_accuracy_score)]:
            values = [(round(float(score(positive, scores >= t)), 12), float(t)) for t in numpy.unique(scores)]
            row[name] = dict(zip(("value", "threshold"), max(values)))
        rows.append(row)
    return rows


def dominance():
    rows = []
    for n, m, shift in [(3, 3, 0.0), (5, 5, 0.01), (3, 5, -0.01), (5, 4, 0.03)]:
        a = numpy.round(random.normal(0.7 + shift, 0.01, n), 4)
        b = numpy.round(random.normal(0.7, 0.01, m), 4)
        t = (numpy.arange(60 * 1000) + 0.5) / (60 * 1000)  # a multiple of every n and m
        f = numpy.sort(a)[numpy.ceil(t * n).astype(int) - 1]
        g = numpy.sort(b)[numpy.ceil(t * m).astype(int) - 1]
        gap = f - g
        rows.append(dict(a=a.tolist(), b=b.tolist(),
                         violation=float(numpy.sum(gap[gap < 0] ** 2) / numpy.sum(gap**2))))
    return rows


OUT.write_text(json.dumps({
    "what": "planning, equivalence, calibration; made by tests/references/planning.py",
    "versions": {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "numpy": numpy.__version__},
    "noncentral_t": noncentral_t(),
    "chi_square": chi_square(),
    "deviations": deviations(),
    "chances": chances(),
    "equivalence": equivalence(),
    "temperature": temperature(),
    "thresholds": thresholds(),
    "dominance": dominance(),
}, separators=(",", ":")) + "\n")
