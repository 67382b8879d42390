//! Batches without padding: the tokens of all rows side by side.

use candle_core::{Device, Tensor};
use mmc_ops::{Sequences, embedding};
use mmc_preprocess::TextInput;

use crate::ModelError;

/// A batch's texts without their padding.
pub(crate) struct PackedText {
    /// `[tokens]`
    pub(crate) token_ids: Vec<u32>,
    /// `[tokens]`
    pub(crate) type_ids: Vec<u32>,
    /// Tokens of each text.
    pub(crate) lengths: Vec<usize>,
}

impl PackedText {
    pub(crate) fn of(text: &TextInput) -> Result<Self, ModelError> {
        let (rows, columns) = text.token_ids.dims2()?;
        let fits = |&length: &usize| (1..=columns).contains(&length);
        if text.lengths.len() != rows || !text.lengths.iter().all(fits) {
            let problem = format!(
                "the lengths of the texts are {:?}, expected one from 1 to {columns} for each of \
                 {rows} rows",
                text.lengths
            );
            return Err(ModelError::Input { problem });
        }
        let packed = |tensor: &Tensor| -> Result<Vec<u32>, ModelError> {
            let rows = tensor.to_vec2::<u32>()?;
            let tokens = rows.iter().zip(&text.lengths);
            Ok(tokens.flat_map(|(row, &length)| row.iter().take(length).copied()).collect())
        };
        let (token_ids, type_ids) = (packed(&text.token_ids)?, packed(&text.type_ids)?);
        Ok(Self { token_ids, type_ids, lengths: text.lengths.clone() })
    }

    /// The texts as sequences whose tokens are numbered from `first`.
    pub(crate) fn sequences(&self, first: u32) -> Result<Sequences, ModelError> {
        let numbers = |&length: &usize| first..first + length as u32;
        let numbers = self.lengths.iter().flat_map(numbers).collect();
        Ok(Sequences::with_positions(&self.lengths, numbers)?)
    }
}

/// Some rows of `x` `[…, width]`, which may be named more than once.
pub(crate) fn picked(x: &Tensor, rows: &[u32]) -> Result<Tensor, ModelError> {
    Ok(embedding(&Tensor::new(rows, &Device::Cpu)?, x)?)
}

/// What a model reads of one input: states `[tokens, hidden]`, cut into one sequence a row.
pub(crate) struct Part {
    pub(crate) states: Tensor,
    pub(crate) sequences: Sequences,
}

impl Part {
    /// One vector a row, `[rows, width]`.
    pub(crate) fn of_vectors(states: Tensor) -> Result<Self, ModelError> {
        let sequences = Sequences::single(states.dims2()?.0);
        Ok(Self { states, sequences })
    }

    /// The rows of several parts, one behind the other.
    pub(crate) fn stack(parts: &[&Self]) -> Result<Self, ModelError> {
        let (mut lengths, mut numbers, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            lengths.extend(part.sequences.lengths());
            numbers.extend_from_slice(part.sequences.positions());
            states.push(&part.states);
        }
        if states.is_empty() {
            return Err(ModelError::Input {
                problem: "there is nothing to put together".to_owned(),
            });
        }
        let sequences = Sequences::with_positions(&lengths, numbers)?;
        Ok(Self { states: Tensor::cat(&states, 0)?, sequences })
    }

    /// Some rows, which may be named more than once, each below the number of rows.
    pub(crate) fn rows_at(&self, rows: &[usize]) -> Result<Self, ModelError> {
        let (mut lengths, mut numbers, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for &row in rows {
            let range = self.sequences.range(row);
            lengths.push(range.len());
            numbers.extend_from_slice(&self.sequences.positions()[range.clone()]);
            places.extend(range.map(|token| token as u32));
        }
        let sequences = Sequences::with_positions(&lengths, numbers)?;
        Ok(Self { states: picked(&self.states, &places)?, sequences })
    }

    /// Parts of the same rows: each row's sequences one behind the other.
    pub(crate) fn join(parts: &[Self]) -> Result<Self, ModelError> {
        let [first, ..] = parts else {
            return Err(ModelError::Input { problem: "the model is shown nothing".to_owned() });
        };
        let rows = first.sequences.count();
        if let Some(other) = parts.iter().find(|part| part.sequences.count() != rows) {
            let found = other.sequences.count();
            let problem = format!("one input has {rows} rows and another {found}");
            return Err(ModelError::Input { problem });
        }
        let starts = parts.iter().scan(0, |end, part| {
            let start = *end;
            *end += part.sequences.tokens();
            Some(start)
        });
        let starts: Vec<usize> = starts.collect();
        let (mut places, mut numbers, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let before = places.len();
            for (part, start) in parts.iter().zip(&starts) {
                let range = part.sequences.range(row);
                numbers.extend_from_slice(&part.sequences.positions()[range.clone()]);
                places.extend(range.map(|token| (start + token) as u32));
            }
            lengths.push(places.len() - before);
        }
        let states: Vec<&Tensor> = parts.iter().map(|part| &part.states).collect();
        let states = picked(&Tensor::cat(&states, 0)?, &places)?;
        Ok(Self { states, sequences: Sequences::with_positions(&lengths, numbers)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_parts_are_joined() {
        let part = |values: &[f32], lengths: &[usize], numbers: Vec<u32>| Part {
            states: Tensor::from_slice(values, (values.len(), 1), &Device::Cpu).unwrap(),
            sequences: Sequences::with_positions(lengths, numbers).unwrap(),
        };
        let text = part(&[1.0, 2.0, 3.0], &[2, 1], vec![0, 1, 0]);
        let picture = part(&[4.0, 5.0, 6.0], &[1, 2], vec![40, 40, 41]);
        let joined = Part::join(&[text, picture]).unwrap();
        let states: Vec<f32> = joined.states.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(states, [1.0, 2.0, 4.0, 3.0, 5.0, 6.0]);
        assert_eq!(joined.sequences.starts(), [0, 3, 6]);
        assert_eq!(joined.sequences.positions(), [0, 1, 40, 0, 40, 41]);
        let again = joined.rows_at(&[1, 0, 1]).unwrap();
        let states: Vec<f32> = again.states.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(states, [3.0, 5.0, 6.0, 1.0, 2.0, 4.0, 3.0, 5.0, 6.0]);
        assert_eq!(again.sequences.starts(), [0, 3, 6, 9]);
        let stacked = Part::stack(&[&joined, &again]).unwrap();
        assert_eq!(stacked.sequences.starts(), [0, 3, 6, 9, 12, 15]);
        assert_eq!(stacked.sequences.positions()[6..], *again.sequences.positions());
        assert!(Part::stack(&[]).is_err());
        assert!(Part::join(&[]).is_err());
        let (one, two) = (part(&[1.0], &[1], vec![0]), part(&[1.0, 2.0], &[1, 1], vec![0, 0]));
        assert!(matches!(Part::join(&[one, two]), Err(ModelError::Input { .. })));
    }
}
