//! Simulated predictions of a text and a multimodal model, whose expected AUROCs are exact.

use mmc_metrics::Items;
use mmc_metrics::distribution::normal_quantile;
use mmc_random::{ChaCha8Rng, Purpose, generator, standard_normal};

/// How a world differs from the plain one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Independent items, balanced classes, both models alike over seeds.
    Plain,
    /// Items in fours that share a picture and most of their noise.
    Clustered,
    /// One positive in ten.
    Unbalanced,
    /// One seed in ten collapses, of either model.
    Collapsing,
    /// The multimodal model varies three times as much over seeds as the text model.
    UnequalSeeds,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) items: usize,
    pub(super) seeds: usize,
    pub(super) gain: f64,
}

/// The text model's expected AUROC.
pub(super) const TEXT: f64 = 0.72;

/// The standard deviation of a model's AUROC over seeds.
pub(super) const SEED_DEVIATION: f64 = 0.012;

/// What a collapsed seed loses, and how many collapse.
const COLLAPSE: f64 = 0.09;
const COLLAPSED: f64 = 0.1;

/// Items of a cluster.
const CLUSTER: usize = 4;

/// The share of the common noise that a whole cluster has.
const OF_CLUSTER: f64 = 0.6;

/// Predictions of both models, one file a seed.
pub(super) struct Draw {
    labels: Vec<usize>,
    clusters: Option<Vec<usize>>,
    predictions: Vec<usize>,
    files: [Vec<Vec<Vec<f64>>>; 2],
}

impl World {
    /// Experiment `number` of this world.
    pub(super) fn draw(&self, seed: u64, number: u64) -> Draw {
        let mut random = generator(seed, Purpose::Simulation, self.number(), number);
        let labels: Vec<usize> = (0..self.items).map(|item| self.label(item)).collect();
        let shared = self.noise(&mut random);
        let files = [0, 1].map(|model| {
            let own = self.noise(&mut random);
            let file = |_| {
                let separation = self.separation(model, &mut random);
                let row = |item: usize| {
                    let noise = 0.5_f64.sqrt() * shared[item]
                        + 0.3_f64.sqrt() * own[item]
                        + 0.2_f64.sqrt() * standard_normal(&mut random);
                    let score = separation * labels[item] as f64 + noise;
                    let p = 1.0 / (1.0 + (-score).exp());
                    vec![1.0 - p, p]
                };
                (0..self.items).map(row).collect()
            };
            (0..self.seeds).map(file).collect()
        });
        let clustered = self.kind == Kind::Clustered;
        let clusters = clustered.then(|| (0..self.items).map(|item| item / CLUSTER).collect());
        Draw { labels, clusters, predictions: vec![0; self.items], files }
    }

    /// A number of its own, so that no two worlds share a draw.
    fn number(&self) -> u64 {
        let gain = (self.gain * 1e6).round() as i64 as u64;
        let words = [self.kind as u64, self.items as u64, self.seeds as u64, gain];
        let name = words.map(|word| word.to_string()).join(" ");
        mmc_random::name_index(&name)
    }

    fn label(&self, item: usize) -> usize {
        match self.kind {
            Kind::Unbalanced => usize::from(item.is_multiple_of(10)),
            // Three of four alike, so that what a cluster shares matters.
            Kind::Clustered => {
                let first = item.is_multiple_of(CLUSTER);
                usize::from((item / CLUSTER).is_multiple_of(2) != first)
            }
            _ => item % 2,
        }
    }

    /// Standard normal noise of each item, part of it the cluster's.
    fn noise(&self, random: &mut ChaCha8Rng) -> Vec<f64> {
        if self.kind != Kind::Clustered {
            return (0..self.items).map(|_| standard_normal(random)).collect();
        }
        let mut common = 0.0;
        let mut noise = Vec::with_capacity(self.items);
        for item in 0..self.items {
            if item.is_multiple_of(CLUSTER) {
                common = standard_normal(random);
            }
            let own = standard_normal(random);
            noise.push(OF_CLUSTER.sqrt() * common + (1.0 - OF_CLUSTER).sqrt() * own);
        }
        noise
    }

    /// The distance of the classes in one run: normal over seeds, such that the expected AUROC of
    /// the model is exact.
    fn separation(&self, model: usize, random: &mut ChaCha8Rng) -> f64 {
        let collapses = self.kind == Kind::Collapsing
            && mmc_random::below(1_000, random) < (1_000.0 * COLLAPSED) as usize;
        let loss = if collapses { COLLAPSE } else { 0.0 };
        let centre = normal_quantile(TEXT + self.gain * model as f64 - loss);
        let density = (-0.5 * centre * centre).exp() / std::f64::consts::TAU.sqrt();
        let factor = match (self.kind, model) {
            (Kind::UnequalSeeds, 0) => 0.5,
            (Kind::UnequalSeeds, _) => 1.5,
            _ => 1.0,
        };
        let spread = factor * SEED_DEVIATION * 2.0_f64.sqrt() / density;
        centre * (2.0 + spread * spread).sqrt() + spread * standard_normal(random)
    }
}

impl Draw {
    /// The files of the text model (0) or the multimodal one (1), as metrics take them.
    pub(super) fn items(&self, model: usize) -> Vec<Items<'_>> {
        let file = |probabilities| Items {
            clusters: self.clusters.as_deref(),
            ..Items::new(&self.labels, &self.predictions, probabilities, 2)
        };
        self.files[model].iter().map(|rows| file(rows.as_slice())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean AUROC over draws is the stated one, within four standard errors.
    #[test]
    fn expected_scores_are_exact() {
        for kind in
            [Kind::Plain, Kind::Clustered, Kind::Unbalanced, Kind::Collapsing, Kind::UnequalSeeds]
        {
            let world = World { kind, items: 400, seeds: 3, gain: 0.05 };
            let scores: Vec<f64> = (0..200)
                .map(|number| {
                    let draw = world.draw(1, number);
                    let auroc = |items: &Items| {
                        let positive: Vec<bool> = items.labels.iter().map(|y| *y == 1).collect();
                        let scores: Vec<f64> = items.probabilities.iter().map(|p| p[1]).collect();
                        mmc_metrics::auroc(&scores, &positive).unwrap()
                    };
                    let mean = |model| draw.items(model).iter().map(auroc).sum::<f64>() / 3.0;
                    mean(1) - mean(0)
                })
                .collect();
            let mean = scores.iter().sum::<f64>() / 200.0;
            let variance = scores.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 199.0;
            assert!((mean - 0.05).abs() < 4.0 * (variance / 200.0).sqrt(), "{kind:?}: {mean}");
        }
    }
}
