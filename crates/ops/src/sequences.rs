//! Sequences of different lengths side by side, without padding between them.

use std::sync::Arc;

use crate::error::{OpsError, Result};

/// How the rows of `[tokens, width]` are cut into sequences.
///
/// Each token also has a number that says where in its sequence it stands, whatever the other
/// sequences are: dropout masks are keyed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    pub(crate) starts: Arc<[usize]>,  // [sequences + 1]
    pub(crate) positions: Arc<[u32]>, // [tokens]
}

impl Sequences {
    /// Sequences of these lengths, whose tokens are numbered 0, 1, …
    #[must_use]
    pub fn new(lengths: &[usize]) -> Self {
        let positions = lengths.iter().flat_map(|&length| 0..length as u32).collect();
        Self { starts: starts(lengths), positions }
    }

    /// One token a sequence, each with number 0: what a pooled `[rows, width]` is.
    #[must_use]
    pub fn single(rows: usize) -> Self {
        Self { starts: (0..=rows).collect(), positions: vec![0; rows].into() }
    }

    /// Sequences of these lengths whose tokens have these numbers, each below 2²⁴.
    ///
    /// # Errors
    /// [`OpsError::Shape`] where there is not one number a token.
    pub fn with_positions(lengths: &[usize], positions: Vec<u32>) -> Result<Self> {
        let starts = starts(lengths);
        let tokens = starts.last().copied().unwrap_or(0);
        if positions.len() != tokens {
            return Err(OpsError::Shape {
                operation: "sequences",
                argument: "positions",
                found: vec![positions.len()],
                expected: format!("[{tokens}]"),
            });
        }
        Ok(Self { starts, positions: positions.into() })
    }

    /// How many sequences.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens in all.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.positions.len()
    }

    /// Where each sequence begins among the tokens, and last where they end: `[sequences + 1]`.
    #[must_use]
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The tokens of sequence `index`.
    #[must_use]
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        self.starts[index]..self.starts[index + 1]
    }

    /// The number of each token.
    #[must_use]
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// The length of each sequence.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// The first token of each sequence.
    ///
    /// # Errors
    /// [`OpsError::Setting`] where a sequence is empty.
    pub fn first_tokens(&self) -> Result<Vec<u32>> {
        match self.lengths().position(|length| length == 0) {
            None => Ok(self.starts[..self.count()].iter().map(|&start| start as u32).collect()),
            Some(row) => Err(OpsError::Setting {
                setting: "sequences",
                value: format!("one of no tokens, at row {row}"),
                expected: "at least one token each".to_owned(),
            }),
        }
    }

    /// Sequences of one token each: those at `tokens`, which keep their numbers.
    pub(crate) fn picked(&self, tokens: &[u32]) -> Self {
        let positions = tokens.iter().map(|&token| self.positions[token as usize]).collect();
        Self { starts: (0..=tokens.len()).collect(), positions }
    }

    /// The sequence of each token.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.lengths().enumerate().flat_map(|(row, length)| std::iter::repeat_n(row, length))
    }
}

fn starts(lengths: &[usize]) -> Arc<[usize]> {
    let mut end = 0;
    let ends = lengths.iter().map(|length| {
        end += length;
        end
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_numbered_in_their_own_sequence() {
        let sequences = Sequences::new(&[2, 3, 1]);
        assert_eq!(sequences.starts(), [0, 2, 5, 6]);
        assert_eq!(sequences.positions(), [0, 1, 0, 1, 2, 0]);
        assert_eq!(sequences.rows().collect::<Vec<_>>(), [0, 0, 1, 1, 1, 2]);
        assert_eq!(sequences.first_tokens().unwrap(), [0, 2, 5]);
        assert_eq!(sequences.picked(&[1, 4, 5]).positions(), [1, 2, 0]);
        assert!(Sequences::new(&[2, 0]).first_tokens().is_err());
        assert!(Sequences::with_positions(&[2], vec![0]).is_err());
    }
}
