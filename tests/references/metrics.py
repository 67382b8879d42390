# Reference values for the distribution functions of mmc-metrics.
#
# Versions: Python 3.11, scipy 1.17.1, mpmath 1.3.0, numpy 2.4.6
#     pip install scipy==1.17.1 mpmath==1.3.0 numpy==2.4.6
# Run:      python tests/references/metrics.py > crates/metrics/tests/distributions.json
#
# mpmath at 40 digits for t and normal tails, where scipy itself loses digits; scipy for the beta
# distribution. No seed: nothing is drawn. Tolerance: 1e-10 relative, since the inputs of an interval are
# never known better; the test states it too.
import json
import sys

import mpmath
import scipy
from scipy import stats

mpmath.mp.dps = 40
DEGREES = [0.6, 1, 1.5, 2, 2.7, 3.7126215564918588, 4, 8, 9.755657059078578, 20, 49.9, 50, 51, 99.3]
DEGREES += [500, 1999, 12345.6, 1e6, 1e8]


def t_two_sided(t, df):
    df, t = mpmath.mpf(df), mpmath.mpf(t)
    x = df / (df + t * t)
    return float(mpmath.betainc(df / 2, mpmath.mpf(1) / 2, 0, x, regularized=True))


def t_quantile(probability, df):
    """scipy's value, polished by Newton's method at 40 digits."""
    t = mpmath.mpf(float(stats.t.ppf(probability, df)))
    df = mpmath.mpf(df)
    for _ in range(4):
        tail = mpmath.betainc(df / 2, mpmath.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
        cdf = 1 - tail if t > 0 else tail
        log_density = mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2)
        log_density -= mpmath.log(df * mpmath.pi) / 2 + (df + 1) / 2 * mpmath.log1p(t * t / df)
        t -= (cdf - mpmath.mpf(probability)) / mpmath.exp(log_density)
    return float(t)


def normal_quantile(probability):
    half = mpmath.mpf(1) / 2
    return float(mpmath.sqrt(2) * mpmath.erfinv(2 * (mpmath.mpf(probability) - half)))


rows = []
for df in DEGREES:
    for t in [1e-6, 0.3, 1.0, 2.0, 3.5, 9.0]:
        if df <= 1e6:
            rows.append(["t_two_sided", [t, df], t_two_sided(t, df)])
    for p in [0.6, 0.95, 0.975, 0.995, 0.9999, 0.025, 0.0005]:
        if df <= 1e6:
            rows.append(["t_quantile", [p, df], t_quantile(p, df)])
        else:
            rows.append(["t_quantile", [p, df], float(stats.t.ppf(p, df))])
for z in [0.0, 0.1, 1.0, 1.96, 3.0, 6.0, 20.0]:
    rows.append(["normal_two_sided", [z], float(mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2)))])
    rows.append(["normal_cdf", [-z], float(mpmath.ncdf(-mpmath.mpf(z)))])
for p in [1e-12, 1e-4, 0.025, 0.3, 0.5, 0.7, 0.95, 0.975, 0.995, 0.999999]:
    rows.append(["normal_quantile", [p], normal_quantile(p)])
for a, b in [(1, 1), (0.5, 3), (11, 1), (82, 182), (5001, 12900), (3, 20000)]:
    for x in [0.001, 0.2, 0.2793, 0.31, 0.9]:
        value = float(stats.beta.cdf(x, a, b))
        if value > 1e-290:
            rows.append(["beta_cdf", [x, a, b], value])
    for p in [0.005, 0.025, 0.5, 0.975]:
        rows.append(["beta_quantile", [p, a, b], float(stats.beta.ppf(p, a, b))])
for k, n in [(0, 1), (2, 8), (12, 37), (59, 180), (450, 1000), (4900, 10000)]:
    point = mpmath.binomial(n, k) / mpmath.mpf(2) ** n
    tail = mpmath.fsum(mpmath.binomial(n, i) for i in range(k + 1)) / mpmath.mpf(2) ** n
    rows.append(["fair_binomial", [k, n], float(point)])
    rows.append(["fair_binomial_cdf", [k, n], float(tail)])

json.dump(
    {
        "what": "distribution functions; made by tests/references/metrics.py",
        "versions": {"scipy": scipy.__version__, "mpmath": mpmath.__version__},
        "relative_tolerance": 1e-10,
        "values": rows,
    },
    sys.stdout,
    indent=None,
    separators=(",", ":"),
)
print()
