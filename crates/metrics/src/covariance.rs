//! How the scores of several files vary and vary together with the items.

use crate::bootstrap::{REPLICATES, sample_covariance};
use crate::delong::Placements;
use crate::error::Result;
use crate::interval::Clusters;
use crate::items::Items;
use crate::metric::{Basis, Metric};
use crate::resample::{Counted, Resampler, replicates};

/// The covariance of one metric over files of the same items.
pub(crate) struct ItemCovariance {
    /// `[files][files]`.
    pub(crate) matrix: Vec<Vec<f64>>,
    /// Degrees of freedom, clusters − 1; `None` for DeLong's of independent items, whose
    /// distribution is taken as normal.
    pub(crate) df: Option<f64>,
    /// What a bound for unanimous items counts: clusters, or the items of the rarest class.
    pub(crate) unanimous: usize,
    /// Resamples redrawn because the metric was undefined on them.
    pub(crate) redrawn: usize,
}

/// The covariance of `metric` over `files`, all checked and of the same items.
pub(crate) fn item_covariance(
    metric: &Metric,
    files: &[&Items],
    seed: u64,
) -> Result<ItemCovariance> {
    let clusters = files[0].clusters();
    let (count, items) = (clusters.count(), files[0].len());
    let df = Some(count as f64 - 1.0);
    match metric.basis {
        Basis::Auroc if files[0].is_binary() && !clusters.shared() => {
            let placements: Vec<Placements> = files
                .iter()
                .map(|file| class_placements(file, file.positive))
                .collect::<Result<_>>()?;
            let matrix =
                try_matrix(placements.len(), |i, j| placements[i].covariance(&placements[j]))?;
            Ok(ItemCovariance { matrix, df: None, unanimous: rarest(files[0]), redrawn: 0 })
        }
        Basis::Auroc => {
            let influence: Vec<Vec<f64>> =
                files.iter().map(|file| auroc_influence(file)).collect::<Result<_>>()?;
            let matrix = sandwich(&influence, &clusters)?;
            Ok(ItemCovariance { matrix, df, unanimous: rarest(files[0]).min(count), redrawn: 0 })
        }
        Basis::Mean(values) => {
            let centred = |file: &&Items| -> Result<Vec<f64>> {
                let values = values(file)?;
                let mean = values.iter().sum::<f64>() / items as f64;
                Ok(values.iter().map(|value| (value - mean) / items as f64).collect())
            };
            let influence: Vec<Vec<f64>> = files.iter().map(centred).collect::<Result<_>>()?;
            let matrix = sandwich(&influence, &clusters)?;
            Ok(ItemCovariance { matrix, df, unanimous: count, redrawn: 0 })
        }
        Basis::Confusion(_) | Basis::AveragePrecision => {
            let (matrix, redrawn) = resampled(metric, files, &clusters, seed)?;
            Ok(ItemCovariance { matrix, df, unanimous: count, redrawn })
        }
    }
}

/// The variance of the AUROC of one file, and what a bound for unanimous items counts. A class of
/// one item has no variance: 0, so that the bound is taken.
pub(crate) fn auroc_variance(items: &Items, clusters: &Clusters) -> Result<(f64, usize)> {
    let unanimous = rarest(items).min(clusters.count());
    if unanimous < 2 {
        return Ok((0.0, unanimous));
    }
    if items.is_binary() {
        let placements = class_placements(items, items.positive)?;
        let variance = if clusters.shared() {
            placements.clustered_variance(clusters)
        } else {
            placements.covariance(&placements)?
        };
        return Ok((variance, unanimous));
    }
    let influence = auroc_influence(items)?;
    Ok((clusters.covariance(&influence, &influence), unanimous))
}

fn class_placements(items: &Items, class: usize) -> Result<Placements> {
    Placements::new(&items.ranking(class), &items.of_class(class))
}

/// The influence of each item on the AUROC, the mean over one-vs-rest rankings.
fn auroc_influence(items: &Items) -> Result<Vec<f64>> {
    let classes = items.ranked_classes();
    let mut influence = vec![0.0; items.len()];
    for &class in &classes {
        for (sum, part) in influence.iter_mut().zip(class_placements(items, class)?.influence()) {
            *sum += part / classes.len() as f64;
        }
    }
    Ok(influence)
}

/// The number of items of the rarest class.
fn rarest(items: &Items) -> usize {
    let count = |class| items.labels.iter().filter(|label| **label == class).count();
    (0..items.classes).map(count).min().unwrap_or(0)
}

fn sandwich(influence: &[Vec<f64>], clusters: &Clusters) -> Result<Vec<Vec<f64>>> {
    try_matrix(influence.len(), |i, j| Ok(clusters.covariance(&influence[i], &influence[j])))
}

/// The covariance over joint resamples: every file scored on the same draw.
fn resampled(
    metric: &Metric,
    files: &[&Items],
    clusters: &Clusters,
    seed: u64,
) -> Result<(Vec<Vec<f64>>, usize)> {
    let counted: Vec<Counted> =
        files.iter().map(|file| Counted::new(metric, file)).collect::<Result<_>>()?;
    let resampler = Resampler::new(clusters, seed);
    let (scores, redrawn) = replicates(metric.name, REPLICATES, |replicate, attempt| {
        resampler.with_counts(attempt, replicate, |counts| {
            counted.iter().map(|file| file.score(counts)).collect::<Result<Vec<f64>>>()
        })
    })?;
    let of_file = |file: usize| -> Vec<f64> { scores.iter().map(|row| row[file]).collect() };
    let columns: Vec<Vec<f64>> = (0..files.len()).map(of_file).collect();
    let cell = |i: usize, j: usize| Ok(sample_covariance(&columns[i], &columns[j]));
    Ok((try_matrix(files.len(), cell)?, redrawn))
}

/// The matrix of all cells; a symmetric cell gives the same bits on both sides.
fn try_matrix(size: usize, cell: impl Fn(usize, usize) -> Result<f64>) -> Result<Vec<Vec<f64>>> {
    (0..size).map(|i| (0..size).map(|j| cell(i.max(j), i.min(j))).collect()).collect()
}
