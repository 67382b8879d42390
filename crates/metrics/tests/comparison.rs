//! `compare`: the rule of three decisions, the two methods, metrics where less is better.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::compare::{Method, Scope, decide};
use mmc_metrics::interval::unanimous_bound;
use mmc_metrics::{
    Comparison, Contrast, Decision, Interval, Items, METRICS, MetricError, compare, metric,
};
use mmc_random::{Purpose, generator, standard_normal};

const N: usize = 240;

/// A file whose scores separate the classes by `signal`; its noise is partly shared by all files.
struct File {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

impl File {
    fn new(signal: f64, seed: u64) -> Self {
        let labels: Vec<usize> = (0..N).map(|item| item % 2).collect();
        let mut shared = generator(0, Purpose::Simulation, 0, 0);
        let mut own = generator(seed, Purpose::Simulation, 1, 0);
        let score = |&label: &usize| {
            let side = if label == 1 { signal } else { -signal };
            side + 0.7 * standard_normal(&mut shared) + 0.7 * standard_normal(&mut own)
        };
        let scores: Vec<f64> = labels.iter().map(score).collect();
        Self::from_scores(labels, &scores)
    }

    fn from_scores(labels: Vec<usize>, scores: &[f64]) -> Self {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        Self {
            labels,
            predictions: scores.iter().map(|&score| usize::from(score > 0.0)).collect(),
            probabilities: scores.iter().map(|&s| vec![logistic(-s), logistic(s)]).collect(),
            logits: scores.iter().map(|&score| vec![0.0, score]).collect(),
        }
    }

    fn items(&self) -> Items<'_> {
        Items {
            logits: Some(&self.logits),
            ..Items::new(&self.labels, &self.predictions, &self.probabilities, 2)
        }
    }
}

fn files(signal: f64, seeds: std::ops::Range<u64>) -> Vec<File> {
    seeds.map(|seed| File::new(signal, seed)).collect()
}

fn contrast<'a>(name: &str, baseline: &'a [Items<'a>], candidate: &'a [Items<'a>]) -> Contrast<'a> {
    Contrast {
        metric: metric(name).unwrap(),
        baseline,
        candidate,
        paired_seeds: false,
        margin: 0.0,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    }
}

fn run(name: &str, baseline: &[File], candidate: &[File], margin: f64) -> Comparison {
    let items =
        |side: &'_ [File]| -> Vec<(usize, usize)> { vec![(side.len(), side[0].labels.len())] };
    assert!(!items(baseline).is_empty());
    let a: Vec<Items> = baseline.iter().map(File::items).collect();
    let b: Vec<Items> = candidate.iter().map(File::items).collect();
    compare(&Contrast { margin, ..contrast(name, &a, &b) }).unwrap()
}

#[test]
fn the_rule_has_three_outcomes() {
    let interval = |low, high| Interval { low, high };
    let cases = [
        (0.03, (0.01, 0.05), 0.02, Decision::Candidate),
        (0.03, (0.025, 0.035), 0.02, Decision::Candidate),
        (0.01, (0.005, 0.015), 0.02, Decision::Baseline), // real but too small
        (0.0, (-0.01, 0.01), 0.02, Decision::Baseline),
        (0.01, (0.005, 0.03), 0.02, Decision::Undecided), // above 0, estimate below the margin
        (0.03, (-0.01, 0.07), 0.02, Decision::Undecided),
        (0.02, (0.0, 0.04), 0.02, Decision::Undecided), // L = 0 is not above 0
        (0.0, (-0.02, 0.02), 0.02, Decision::Undecided), // U = margin is not below it
        (-0.05, (-0.07, -0.03), 0.0, Decision::Baseline),
        (0.0, (0.0, 0.0), 0.0, Decision::Undecided),
    ];
    for (gain, (low, high), margin, expected) in cases {
        assert_eq!(decide(gain, interval(low, high), margin), expected, "{gain} {low} {high}");
    }
}

#[test]
fn every_metric_finds_a_clear_gain_and_its_reverse() {
    let (weak, strong) = (files(0.3, 0..3), files(1.2, 10..13));
    for metric in METRICS {
        let forth = run(metric.name, &weak, &strong, 0.0);
        let back = run(metric.name, &strong, &weak, 0.0);
        assert_eq!((forth.decision, back.decision), (Decision::Candidate, Decision::Baseline));
        let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
        assert!(sign * forth.difference > 0.0, "{}", metric.name);
        assert!((forth.difference - (forth.candidate - forth.baseline)).abs() < 1e-12);
        assert!((forth.difference + back.difference).abs() < 1e-12, "{}", metric.name);
        assert!((forth.interval.low + back.interval.high).abs() < 1e-12, "{}", metric.name);
        assert!(forth.interval.contains(forth.difference) && forth.p_value < 0.05);
        assert_eq!((forth.method, forth.scope), (Method::TwoWayT, Scope::NewSeeds));
    }
}

#[test]
fn each_end_has_its_own_level_also_where_less_is_better() {
    let (a, b) = (files(0.5, 0..3), files(0.7, 10..13));
    let a: Vec<Items> = a.iter().map(File::items).collect();
    let b: Vec<Items> = b.iter().map(File::items).collect();
    for (name, low_moves) in [("auroc", true), ("log_loss", false)] {
        let plain = compare(&contrast(name, &a, &b)).unwrap();
        let adjusted = Contrast { lower_level: 0.99, ..contrast(name, &a, &b) };
        let adjusted = compare(&adjusted).unwrap();
        assert_eq!(plain.interval.low > adjusted.interval.low, low_moves, "{name}");
        assert_eq!(plain.interval.high < adjusted.interval.high, !low_moves, "{name}");
        assert_eq!(
            (adjusted.level, adjusted.lower_level, adjusted.upper_level),
            (0.95, 0.99, 0.95)
        );
        assert!((plain.p_value - adjusted.p_value).abs() < 1e-15);
    }
}

#[test]
fn one_file_a_side_speaks_of_these_files_only() {
    let found = run("accuracy", &files(0.5, 0..1), &files(0.6, 10..13), 0.02);
    assert_eq!((found.method, found.scope), (Method::ItemsOnly, Scope::TheseFiles));
    assert_eq!((found.v_a, found.v_b), (0.0, 0.0));
    assert_eq!((found.seeds.baseline, found.seeds.candidate), (1, 3));
    let object = serde_json::to_value(&found).unwrap();
    assert_eq!(object["method"], "items_only");
    assert_eq!(object["scope"], "these files");
    for key in [
        "metric",
        "baseline",
        "candidate",
        "difference",
        "interval",
        "level",
        "p_value",
        "margin",
        "decision",
        "items",
        "clusters",
        "seeds",
        "df",
        "v_a",
        "v_b",
        "c",
    ] {
        assert!(object.get(key).is_some(), "{key}");
    }
    assert_eq!(serde_json::from_value::<Comparison>(object).unwrap(), found);
}

#[test]
fn the_variance_of_items_agrees_between_sandwich_and_bootstrap() {
    // On balanced classes balanced accuracy is accuracy up to the resampled class counts, so the
    // two item variances must be close; 2,000 replicates leave about 3 % of noise.
    let (a, b) = (files(0.4, 0..1), files(0.6, 10..11));
    let sandwich = run("accuracy", &a, &b, 0.0);
    let resampled = run("balanced_accuracy", &a, &b, 0.0);
    assert!((sandwich.difference - resampled.difference).abs() < 1e-12);
    assert!((resampled.c / sandwich.c - 1.0).abs() < 0.2, "{} {}", resampled.c, sandwich.c);
    assert_eq!(run("balanced_accuracy", &a, &b, 0.0), resampled); // the same bits again
}

#[test]
fn a_file_against_itself_differs_by_nothing() {
    for metric in METRICS {
        let found = run(metric.name, &files(0.5, 0..1), &files(0.5, 0..1), 0.02);
        assert_eq!((found.interval, found.p_value), (Interval { low: 0.0, high: 0.0 }, 1.0));
        assert_eq!(found.decision, Decision::Baseline);
        let zero = run(metric.name, &files(0.5, 0..1), &files(0.5, 0..1), 0.0);
        assert_eq!(zero.decision, Decision::Undecided); // equality is never decided
        assert!(zero.notes.iter().any(|note| note.contains("equality is never decided")));
    }
}

#[test]
fn models_without_any_spread_get_the_exact_bound() {
    // A perfect candidate against a constant baseline, in every seed: all estimated variances are 0.
    let labels: Vec<usize> = (0..N).map(|item| item % 2).collect();
    let perfect = |shift: f64| {
        let scores: Vec<f64> = labels.iter().map(|&y| [-1.0, 1.0][y] * (1.0 + shift)).collect();
        File::from_scores(labels.clone(), &scores)
    };
    let constant = || File::from_scores(labels.clone(), &[0.5; N]);
    let found = run("auroc", &[constant(), constant()], &[perfect(0.0), perfect(0.5)], 0.02);
    assert_eq!(found.decision, Decision::Candidate);
    assert!((found.interval.low - (0.5 - unanimous_bound(N / 2, 0.95))).abs() < 1e-12);
    assert!(found.p_value < 1e-10 && found.notes.iter().any(|note| note.contains("exact")));
    // Two perfect models: shown to differ by less than a margin, never by an interval without width.
    let found = run("auroc", &[perfect(0.0), perfect(0.1)], &[perfect(0.2), perfect(0.3)], 0.05);
    assert_eq!((found.decision, found.p_value), (Decision::Baseline, 1.0));
    assert!(found.interval.width() > 0.01);
}

#[test]
fn pairing_seeds_uses_the_differences() {
    let (a, b) = (files(0.5, 0..4), files(0.6, 0..4)); // seed r shares its noise on both sides
    let a: Vec<Items> = a.iter().map(File::items).collect();
    let b: Vec<Items> = b.iter().map(File::items).collect();
    let unpaired = compare(&contrast("auroc", &a, &b)).unwrap();
    let paired = Contrast { paired_seeds: true, ..contrast("auroc", &a, &b) };
    let found = compare(&paired).unwrap();
    assert!(found.paired_seeds && found.seed_variance < unpaired.seed_variance);
    assert!((unpaired.seed_variance - unpaired.v_a - unpaired.v_b).abs() < 1e-18);
    let error = compare(&Contrast { candidate: &b[..3], ..paired }).unwrap_err();
    let what = "paired seeds of the candidate";
    assert_eq!(error, MetricError::Lengths { what, expected: 4, found: 3 });
}

#[test]
fn what_cannot_be_compared_errs() {
    let a = files(0.5, 0..2);
    let a: Vec<Items> = a.iter().map(File::items).collect();
    let plain = contrast("auroc", &a, &a);
    for margin in [-0.01, f64::NAN, f64::INFINITY] {
        let error = compare(&Contrast { margin, ..plain }).unwrap_err().to_string();
        let expected = format!("`margin` is `{margin}`, expected a number of at least 0");
        assert_eq!(error, expected);
    }
    assert!(compare(&Contrast { lower_level: 1.0, ..plain }).is_err());
    assert!(compare(&Contrast { candidate: &[], ..plain }).is_err());
    let mut labels = a[0].labels.to_vec();
    labels.swap(4, 5);
    let other = [Items { labels: &labels, ..a[0] }];
    let error = compare(&Contrast { candidate: &other, ..plain }).unwrap_err();
    assert_eq!(error, MetricError::Mismatch { what: "labels", index: 4 });
    let clusters = vec![0; N];
    let other = [Items { clusters: Some(&clusters), ..a[0] }];
    let error = compare(&Contrast { candidate: &other, ..plain }).unwrap_err();
    assert_eq!(error, MetricError::Mismatch { what: "clusters", index: 0 });
    let ones = vec![1; N];
    let one_class = [Items { labels: &ones, ..a[0] }];
    let plain = Contrast { baseline: &one_class, candidate: &one_class, ..plain };
    assert!(matches!(compare(&plain), Err(MetricError::Undefined { .. })));
    assert!(compare(&Contrast { metric: metric("accuracy").unwrap(), ..plain }).is_ok());
}
