//! How much a score rests on one modality: the perceptual score (Gat, Schwartz and Schwing 2021).
//!
//! The modality is exchanged between items and the score taken again. It says what a trained model
//! relies on, not what the task needs: for need, train without the modality and compare.

use mmc_random::{Purpose, below, generator};
use serde::{Deserialize, Serialize};

use crate::error::{MetricError, Result, finite};

/// Permutations that a perceptual score should be a mean of, at least.
pub const PERMUTATIONS: usize = 5;

/// What is lost when a modality is exchanged between items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Perceptual {
    /// The score as it is.
    pub score: f64,
    /// The mean score with the modality permuted.
    pub permuted: f64,
    /// `score − permuted`, in the metric's units.
    pub drop: f64,
    /// The drop as a share of the score itself; `None` where that is 0.
    pub model_normalised: Option<f64>,
    /// The drop as a share of what can be gained over `reference`, `drop / (1 − reference)`;
    /// `None` where nothing can.
    pub task_normalised: Option<f64>,
    /// The score without any input: the share of the majority class for accuracy, 0.5 for AUROC.
    pub reference: f64,
    /// How many permutations were averaged.
    pub permutations: usize,
    /// The standard error of `permuted` due to the choice of permutations alone; `None` for one.
    pub standard_error: Option<f64>,
}

/// The perceptual score from a `score` of at most 1, of which more is better, and the scores under
/// several permutations of one modality, `[permutations]`.
///
/// # Errors
/// No permutation, a number that is not finite.
pub fn perceptual(score: f64, permuted: &[f64], reference: f64) -> Result<Perceptual> {
    if permuted.is_empty() {
        return Err(MetricError::TooFew { what: "permutations", found: 0, expected: 1 });
    }
    finite("score", &[score])?;
    finite("reference", &[reference])?;
    finite("permuted scores", permuted)?;
    let count = permuted.len() as f64;
    let mean = permuted.iter().sum::<f64>() / count;
    let square: f64 = permuted.iter().map(|value| (value - mean).powi(2)).sum();
    let drop = score - mean;
    let share = |of: f64| (of > 0.0).then(|| drop / of);
    Ok(Perceptual {
        score,
        permuted: mean,
        drop,
        model_normalised: share(score),
        task_normalised: share(1.0 - reference),
        reference,
        permutations: permuted.len(),
        standard_error: (permuted.len() > 1).then(|| (square / (count - 1.0) / count).sqrt()),
    })
}

/// A random exchange of partners between items, none of which keeps a partner of its own cluster:
/// item i gets the modality of item `exchange[i]`. `clusters` `[items]` numbers items that share a
/// picture; give `0..items` where none do. Depends on `seed` and `round` alone.
///
/// It starts from the items in order of their clusters, each with the partner that stands one
/// largest cluster further on, and exchanges partners of random pairs wherever both stay allowed,
/// often enough to forget the start (`2 n log₂ n` pairs).
///
/// # Errors
/// Fewer than two items, or a cluster of more than half of them, for which there is no exchange.
pub fn exchange(clusters: &[usize], seed: u64, round: u64) -> Result<Vec<usize>> {
    let items = clusters.len();
    if items < 2 {
        return Err(MetricError::TooFew { what: "items to exchange", found: items, expected: 2 });
    }
    let mut order: Vec<usize> = (0..items).collect();
    order.sort_by_key(|&item| clusters[item]);
    let largest =
        order.chunk_by(|&a, &b| clusters[a] == clusters[b]).map(<[usize]>::len).max().unwrap_or(0);
    if 2 * largest > items {
        let why = format!(
            "{largest} of {items} items share one picture, so some would keep their own whatever \
             the order"
        );
        return Err(MetricError::undefined("perceptual score", why));
    }
    let mut partner = vec![0; items];
    for (place, &item) in order.iter().enumerate() {
        partner[item] = order[(place + largest) % items];
    }
    let mut random = generator(seed, Purpose::Intervention, round, 0);
    let pairs = 2 * items * (items.ilog2() as usize + 1);
    for _ in 0..pairs {
        let (a, b) = (below(items, &mut random), below(items, &mut random));
        let differ = |item: usize, partner: usize| clusters[item] != clusters[partner];
        if differ(a, partner[b]) && differ(b, partner[a]) {
            partner.swap(a, b);
        }
    }
    Ok(partner)
}
