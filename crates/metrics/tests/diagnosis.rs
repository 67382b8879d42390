//! The perceptual score and the gain ledger on models whose parts are known by construction.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test stops at the first surprise")]

use mmc_metrics::compare::{Method, Scope};
use mmc_metrics::emap::emap;
use mmc_metrics::ledger::{Arms, Ledger, ledger};
use mmc_metrics::perceptual::{exchange, perceptual};
use mmc_metrics::probability::softmax;
use mmc_metrics::{Interval, Items, METRICS, MetricError, auroc, metric};
use mmc_random::{Purpose, generator, standard_normal};

#[test]
fn drops_are_shares_of_the_score_and_of_the_task() {
    // By hand: mean 0.6, drop 0.2; 0.2 / 0.8; 0.2 / (1 − 0.5); sd 0.1, standard error 0.1 / √3.
    let found = perceptual(0.8, &[0.5, 0.6, 0.7], 0.5).unwrap();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(close(found.permuted, 0.6) && close(found.drop, 0.2));
    assert!(close(found.model_normalised.unwrap(), 0.25));
    assert!(close(found.task_normalised.unwrap(), 0.4));
    assert!(close(found.standard_error.unwrap(), 0.1 / 3.0_f64.sqrt()));
    assert_eq!(found.permutations, 3);
    let one = perceptual(0.0, &[0.1], 1.0).unwrap();
    assert_eq!((one.model_normalised, one.task_normalised, one.standard_error), (None, None, None));
    assert!(matches!(perceptual(0.8, &[], 0.5), Err(MetricError::TooFew { .. })));
    assert!(matches!(perceptual(f64::NAN, &[0.5], 0.5), Err(MetricError::NotFinite { .. })));
}

#[test]
fn nobody_keeps_a_partner_of_the_own_cluster() {
    let clusters: Vec<usize> = (0..60).map(|item| [item % 7, 7][usize::from(item >= 30)]).collect();
    for round in 0..20 {
        let found = exchange(&clusters, 4, round).unwrap();
        let mut seen = found.clone();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..60), "each once");
        assert!(found.iter().enumerate().all(|(item, &by)| clusters[item] != clusters[by]));
        assert_eq!(found, exchange(&clusters, 4, round).unwrap());
    }
    assert_ne!(exchange(&clusters, 4, 0).unwrap(), exchange(&clusters, 4, 1).unwrap());
    assert_ne!(exchange(&clusters, 4, 0).unwrap(), exchange(&clusters, 5, 0).unwrap());
    let error = exchange(&[0, 0, 0, 1], 0, 0).unwrap_err();
    assert!(error.to_string().contains("3 of 4 items share one picture"), "{error}");
    assert!(exchange(&[0], 0, 0).is_err());
}

/// Of four items without clusters there are nine exchanges; each is as likely as another.
#[test]
fn exchanges_are_uniform() {
    let mut counts = std::collections::BTreeMap::new();
    let draws = 9_000;
    for round in 0..draws {
        *counts.entry(exchange(&[0, 1, 2, 3], 1, round).unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 9);
    // 1,000 each; five binomial standard errors are 149.
    assert!(counts.values().all(|count: &i32| (count - 1_000).abs() < 149), "{counts:?}");
}

const N: usize = 60;

struct File {
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

impl File {
    fn new(logits: Vec<Vec<f64>>) -> Self {
        Self {
            predictions: logits.iter().map(|row| usize::from(row[1] > row[0])).collect(),
            probabilities: logits.iter().map(|row| softmax(row)).collect(),
            logits,
        }
    }

    fn items<'a>(&'a self, labels: &'a [usize]) -> Items<'a> {
        Items {
            logits: Some(&self.logits),
            ..Items::new(labels, &self.predictions, &self.probabilities, 2)
        }
    }
}

/// Texts and pictures of sign ±1 with labels 1 where both agree (weight `interaction`) and where the
/// picture is positive (`picture`), noise for the rest.
struct World {
    labels: Vec<usize>,
    sides: [Vec<File>; 4],
}

fn world(seeds: u64, picture: f64, interaction: f64) -> World {
    let text: Vec<f64> = (0..N).map(|item| [-1.0, 1.0][item % 2]).collect();
    let image: Vec<f64> = (0..N).map(|item| [-1.0, 1.0][item / 2 % 2]).collect();
    let truth = |i: usize| 0.5 * text[i] + picture * image[i] + interaction * text[i] * image[i];
    let mut random = generator(1, Purpose::Simulation, 3, 0);
    let labels: Vec<usize> =
        (0..N).map(|i| usize::from(truth(i) + 0.8 * standard_normal(&mut random) > 0.0)).collect();
    let mut sides = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for seed in 0..seeds {
        let mut random = generator(seed, Purpose::Simulation, 2, 0);
        let mut noisy = |value: f64| value + 0.3 * standard_normal(&mut random);
        let alone = |value: f64| vec![0.0, value];
        sides[0].push(File::new(text.iter().map(|t| alone(noisy(0.3 * t))).collect()));
        sides[1].push(File::new(text.iter().map(|t| alone(noisy(0.5 * t))).collect()));
        let cell = |t: f64, v: f64| 0.5 * t + picture * v + interaction * t * v;
        let own: Vec<f64> = (0..N).map(|_| noisy(0.0)).collect();
        let row = |i: usize| (0..N).map(|j| alone(cell(text[i], image[j]) + own[i])).collect();
        let grid: Vec<Vec<Vec<f64>>> = (0..N).map(row).collect();
        sides[2].push(File::new(emap(&grid).unwrap().logits));
        sides[3].push(File::new((0..N).map(|i| grid[i][i].clone()).collect()));
    }
    World { labels, sides }
}

fn drawn_up(world: &World, name: &str, with_text_model: bool) -> Ledger {
    let sides: Vec<Vec<Items>> = world
        .sides
        .iter()
        .map(|side| side.iter().map(|file| file.items(&world.labels)).collect())
        .collect();
    let text_model = if with_text_model { sides[0].as_slice() } else { &[] };
    let arms = Arms { text_model, text_arm: &sides[1], additive: &sides[2], full: &sides[3] };
    ledger(metric(name).unwrap(), &arms, 0.95, 0).unwrap()
}

#[test]
fn the_gain_is_booked_where_it_arises() {
    let additive = drawn_up(&world(3, 1.0, 0.0), "auroc", true);
    assert!(additive.additive.interval.low > 0.0, "{additive:?}");
    assert!(additive.interaction.estimate.abs() < 1e-12);
    let crossed = drawn_up(&world(3, 0.0, 1.0), "auroc", true);
    assert!(crossed.interaction.interval.low > 0.0, "{crossed:?}");
    assert!(crossed.additive.interval.contains(0.0));
}

#[test]
fn the_parts_sum_to_the_total_for_every_metric() {
    let world = world(3, 0.4, 0.6);
    for metric in METRICS {
        let found = drawn_up(&world, metric.name, true);
        let (backbone, total) = (found.backbone.clone().unwrap(), found.total.clone().unwrap());
        let sum = backbone.estimate + found.additive.estimate + found.interaction.estimate;
        assert_eq!(total.estimate, sum);
        let mean = |side: usize| {
            let score = |file: &File| (metric.score)(&file.items(&world.labels)).unwrap();
            world.sides[side].iter().map(score).sum::<f64>() / 3.0
        };
        let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
        assert!((total.estimate - sign * (mean(3) - mean(0))).abs() < 1e-12, "{}", metric.name);
        assert!(!backbone.paired_seeds && !total.paired_seeds);
        assert!(found.additive.paired_seeds && found.interaction.paired_seeds);
        assert!(total.interval.contains(total.estimate));
        let object = serde_json::to_value(&found).unwrap();
        let interval: Interval =
            serde_json::from_value(object["total"]["interval"].clone()).unwrap();
        assert_eq!(interval, total.interval);
        assert!(object["interaction"]["estimate"].is_number());
    }
}

#[test]
fn one_checkpoint_has_a_ledger_over_items_and_none_over_a_missing_text_model() {
    let found = drawn_up(&world(1, 0.4, 0.6), "auroc", false);
    assert!(found.backbone.is_none() && found.total.is_none());
    for part in [&found.additive, &found.interaction] {
        assert_eq!((part.method, part.scope), (Method::ItemsOnly, Scope::TheseFiles));
        assert!(part.interval.width() > 0.0);
    }
    let world = world(1, 0.4, 0.6);
    let rows = |side: usize| -> Vec<f64> {
        world.sides[side][0].logits.iter().map(|row| row[1] - row[0]).collect()
    };
    let positive: Vec<bool> = world.labels.iter().map(|label| *label == 1).collect();
    let by_hand = auroc(&rows(3), &positive).unwrap() - auroc(&rows(2), &positive).unwrap();
    assert!((found.interaction.estimate - by_hand).abs() < 1e-12);
}

#[test]
fn additive_files_without_their_full_ones_err() {
    let world = world(2, 0.4, 0.6);
    let of = |side: usize| -> Vec<Items> {
        world.sides[side].iter().map(|file| file.items(&world.labels)).collect()
    };
    let (text_arm, additive, full) = (of(1), of(2), of(3));
    let arms = Arms { text_model: &[], text_arm: &text_arm, additive: &additive[..1], full: &full };
    let error = ledger(metric("auroc").unwrap(), &arms, 0.95, 0).unwrap_err();
    assert_eq!(error, MetricError::Lengths { what: "additive files", expected: 2, found: 1 });
}
