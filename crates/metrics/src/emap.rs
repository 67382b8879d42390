//! The additive part of a model of text and picture (EMAP; Hessel and Lee 2020).

use crate::error::{MetricError, Result, finite, same_length};

/// The projection of a grid of logits on sums of a text part and a picture part.
#[derive(Clone, Debug, PartialEq)]
pub struct Emap {
    /// The additive logits of each item's own pair, `[items][classes]`.
    pub logits: Vec<Vec<f64>>,
    /// The share of each logit's variance over the grid that no sum explains, `[classes]`: 0
    /// additive, 1 pure interaction, `None` where the logit is constant.
    pub interaction_share: Vec<Option<f64>>,
}

/// Projects `grid` `[texts][pictures][classes]`, logits of every text with every picture, text i and
/// picture i being item i. Logits only: the softmax makes interactions out of sums.
///
/// # Errors
/// An empty grid, one that is not square, rows of different length, a logit that is not finite.
pub fn emap(grid: &[Vec<Vec<f64>>]) -> Result<Emap> {
    let n = grid.len();
    let classes = grid.first().and_then(|row| row.first()).map_or(0, Vec::len);
    for (index, row) in grid.iter().enumerate() {
        same_length("grid", n, row.len())?;
        for cell in row {
            same_length("grid", classes, cell.len())?;
            finite("grid", cell)
                .map_err(|_inner| MetricError::NotFinite { what: "grid", index })?;
        }
    }
    emap_of(n, classes, |text, picture, class| grid[text][picture][class])
}

/// As [`emap`], of the logits that `logit` gives for (text, picture, class), where the grid lies in
/// some other form.
///
/// # Errors
/// No items or no classes; a logit that is not finite.
pub fn emap_of(
    items: usize,
    classes: usize,
    logit: impl Fn(usize, usize, usize) -> f64,
) -> Result<Emap> {
    if items == 0 || classes == 0 {
        return Err(MetricError::Empty);
    }
    let (mut columns, mut interaction_share) = (Vec::new(), Vec::new());
    for class in 0..classes {
        let (additive, share) = project(items, |text, picture| logit(text, picture, class));
        if let Some(index) = additive.iter().position(|value| !value.is_finite()) {
            return Err(MetricError::NotFinite { what: "grid", index });
        }
        columns.push(additive);
        interaction_share.push(share);
    }
    let of_item = |item: usize| columns.iter().map(|column| column[item]).collect();
    let logits = (0..items).map(of_item).collect();
    Ok(Emap { logits, interaction_share })
}

fn project(n: usize, cell: impl Fn(usize, usize) -> f64) -> (Vec<f64>, Option<f64>) {
    let mean = |sum: f64| sum / n as f64;
    let texts: Vec<f64> = (0..n).map(|i| mean((0..n).map(|j| cell(i, j)).sum())).collect();
    let pictures: Vec<f64> = (0..n).map(|j| mean((0..n).map(|i| cell(i, j)).sum())).collect();
    let grand = mean(texts.iter().sum());
    let (mut total, mut interaction) = (0.0, 0.0);
    for (i, text) in texts.iter().enumerate() {
        for (j, picture) in pictures.iter().enumerate() {
            total += (cell(i, j) - grand).powi(2);
            interaction += (cell(i, j) - (text + picture - grand)).powi(2);
        }
    }
    let additive = texts.iter().zip(&pictures).map(|(text, picture)| text + picture - grand);
    (additive.collect(), (total > 0.0).then(|| interaction / total))
}
