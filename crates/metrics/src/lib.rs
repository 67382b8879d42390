//! Scores of classifiers, their intervals, and tests that compare two of them.
//!
//! Slices in, numbers out. A score that has no value is an error that says why, never 0.5 or NaN.
//! All arithmetic is in f64, every random draw is keyed by a seed, nothing depends on threads.
//!
//! ```
//! use mmc_metrics::{auroc, delong_paired};
//!
//! let positive = [true, true, true, false, false, false];
//! let text = [0.9, 0.4, 0.6, 0.5, 0.7, 0.1];
//! let both = [0.9, 0.8, 0.4, 0.5, 0.2, 0.1];
//! assert!((auroc(&text, &positive)? - 6.0 / 9.0).abs() < 1e-12);
//!
//! let test = delong_paired(&text, &both, &positive)?;
//! assert!((test.difference - 2.0 / 9.0).abs() < 1e-12);
//! assert!(test.p_value > 0.05 && test.interval(0.95)?.contains(0.0)); // six items decide nothing
//! # Ok::<(), mmc_metrics::MetricError>(())
//! ```
//!
//! Start with [`evaluate()`] for all scores of one file of predictions, and with [`compare()`] for two
//! models over several seeds. [`METRICS`] is the table that both follow.
//!
//! Not here: reading files (`mmc-run`), drawing curves and writing reports (`mmc-report`), averaging
//! the probabilities of several models, which makes another model.

pub mod bootstrap;
pub mod calibration;
pub mod compare;
pub mod correction;
mod covariance;
pub mod delong;
pub mod distribution;
pub mod dominance;
pub mod emap;
pub mod equivalence;
mod error;
pub mod evaluate;
pub mod interval;
mod items;
pub mod labels;
pub mod ledger;
pub mod looks;
mod metric;
pub mod noncentral;
mod order;
pub mod paired;
pub mod paired_bootstrap;
pub mod perceptual;
pub mod pilot;
pub mod power;
pub mod probability;
pub mod ranking;
mod resample;
pub mod roc;
pub mod temperature;
pub mod threshold;
pub mod two_way;
pub mod vqa;

pub use compare::{Comparison, Contrast, Decision, compare};
pub use correction::holm;
pub use delong::delong_paired;
pub use error::{MetricError, Result};
pub use evaluate::{Evaluation, evaluate};
pub use interval::Interval;
pub use items::{AnsweredItems, Items};
pub use labels::accuracy;
pub use metric::{ANSWER_METRICS, METRICS, Metric, Needs, metric};
pub use paired::{McNemar, mcnemar};
pub use paired_bootstrap::paired_bootstrap;
pub use ranking::{auroc, average_precision};
pub use roc::{RocPoint, mean_roc, roc_curve};

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
