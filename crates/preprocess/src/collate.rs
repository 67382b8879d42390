//! Examples laid out as one batch, padded.

use candle_core::{Device, Tensor};
use mmc_data::Target;

use crate::{Batch, Example, ImageInput, PreprocessError, Targets, TextInput};

/// How long the rows of a batch of texts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As long as the longest text of the batch.
    Longest,
    /// This many tokens; a longer text is an error.
    Max(usize),
}

/// Lays examples out as one batch on the CPU. Padding happens here and nowhere else.
///
/// Targets are kept where every example has one: a batch with an unlabelled row has none.
///
/// # Errors
/// [`PreprocessError::EmptyBatch`] for no examples, [`PreprocessError::Mixed`] where they do not
/// have the same inputs and kind of target, [`PreprocessError::TooLong`] where a text does not fit
/// into [`Padding::Max`].
pub fn collate(
    examples: &[Example],
    padding: Padding,
    pad_id: u32,
) -> Result<Batch, PreprocessError> {
    let first = examples.first().ok_or(PreprocessError::EmptyBatch)?;
    for example in examples {
        for (input, has, wanted) in [
            ("text", example.text.is_some(), first.text.is_some()),
            ("picture", example.image.is_some(), first.image.is_some()),
        ] {
            if has != wanted {
                let (this, other) = if has { ("a", "none") } else { ("no", "one") };
                let problem = format!("has {this} {input}, but `{}` has {other}", first.id);
                return Err(mixed(example, problem));
            }
        }
    }
    Ok(Batch {
        ids: examples.iter().map(|example| example.id.clone()).collect(),
        groups: examples.iter().map(|example| example.group.clone()).collect(),
        text: if first.text.is_some() { Some(texts(examples, padding, pad_id)?) } else { None },
        image: if first.image.is_some() { Some(pictures(examples)?) } else { None },
        targets: targets(examples)?,
    })
}

fn mixed(example: &Example, problem: String) -> PreprocessError {
    PreprocessError::Mixed { id: example.id.clone(), problem }
}

fn texts(
    examples: &[Example],
    padding: Padding,
    pad_id: u32,
) -> Result<TextInput, PreprocessError> {
    let rows = || examples.iter().filter_map(|example| Some((example, example.text.as_ref()?)));
    let lengths: Vec<usize> = rows().map(|(_, text)| text.ids.len()).collect();
    let length = match padding {
        Padding::Longest => lengths.iter().copied().max().unwrap_or(0),
        Padding::Max(length) => length,
    };
    let cells = lengths.len() * length;
    let mut token_ids = Vec::with_capacity(cells);
    let mut type_ids = Vec::with_capacity(cells);
    let mut attention_mask = Vec::with_capacity(cells);
    for (row, (example, text)) in rows().enumerate() {
        let tokens = text.ids.len();
        if tokens > length {
            return Err(PreprocessError::TooLong { id: example.id.clone(), tokens, length });
        }
        if text.type_ids.len() != tokens {
            let problem = format!("has {tokens} tokens, but {} type ids", text.type_ids.len());
            return Err(mixed(example, problem));
        }
        let end = (row + 1) * length;
        token_ids.extend_from_slice(&text.ids);
        token_ids.resize(end, pad_id);
        type_ids.extend_from_slice(&text.type_ids);
        type_ids.resize(end, 0);
        attention_mask.resize(row * length + tokens, 1_f32);
        attention_mask.resize(end, 0_f32);
    }
    let shape = (lengths.len(), length);
    Ok(TextInput {
        token_ids: Tensor::from_vec(token_ids, shape, &Device::Cpu)?,
        type_ids: Tensor::from_vec(type_ids, shape, &Device::Cpu)?,
        attention_mask: Tensor::from_vec(attention_mask, shape, &Device::Cpu)?,
        lengths,
    })
}

fn pictures(examples: &[Example]) -> Result<ImageInput, PreprocessError> {
    let rows = || examples.iter().filter_map(|example| Some((example, example.image.as_ref()?)));
    let sizes: Vec<(usize, usize)> = rows().map(|(_, image)| (image.height, image.width)).collect();
    let height = sizes.iter().map(|size| size.0).max().unwrap_or(0);
    let width = sizes.iter().map(|size| size.1).max().unwrap_or(0);
    let mut values = vec![0_f32; sizes.len() * 3 * height * width];
    for (row, (example, image)) in rows().enumerate() {
        if image.height == 0 || image.width == 0 {
            return Err(mixed(example, "has a picture without pixels".to_owned()));
        }
        if image.values.len() != 3 * image.height * image.width {
            let problem = format!(
                "has {} pixel values, expected 3 × {} × {}",
                image.values.len(),
                image.height,
                image.width
            );
            return Err(mixed(example, problem));
        }
        for (line, source) in image.values.chunks_exact(image.width).enumerate() {
            let (channel, y) = (line / image.height, line % image.height);
            let start = ((row * 3 + channel) * height + y) * width;
            values[start..start + image.width].copy_from_slice(source);
        }
    }
    let shape = (sizes.len(), 3, height, width);
    Ok(ImageInput { pixel_values: Tensor::from_vec(values, shape, &Device::Cpu)?, sizes })
}

fn targets(examples: &[Example]) -> Result<Option<Targets>, PreprocessError> {
    let mut classes = Vec::new();
    let mut soft = Vec::new();
    for example in examples {
        match &example.target {
            Some(Target::Class(class)) => classes.push(*class as u32),
            Some(Target::Answers(answers)) => {
                let scores = answers.scores.iter();
                soft.push(scores.map(|&(answer, score)| (answer as u32, score)).collect());
            }
            None => {}
        }
        if !classes.is_empty() && !soft.is_empty() {
            let problem = "has another kind of target than the examples before it".to_owned();
            return Err(mixed(example, problem));
        }
    }
    let rows = examples.len();
    Ok(if classes.len() == rows {
        Some(Targets::Classes(classes))
    } else if soft.len() == rows {
        Some(Targets::Soft(soft))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Pixels, Tokens};

    fn example(id: &str, tokens: &[u32], size: (usize, usize)) -> Example {
        Example {
            id: id.to_owned(),
            group: None,
            target: Some(Target::Class(1)),
            text: Some(Tokens {
                ids: tokens.to_vec(),
                type_ids: vec![0; tokens.len()],
                full_length: tokens.len(),
            }),
            image: Some(Pixels {
                values: (1..=3 * size.0 * size.1).map(|value| value as f32).collect(),
                height: size.0,
                width: size.1,
            }),
        }
    }

    #[test]
    fn texts_are_padded_on_the_right_and_masked_by_length() {
        // The pad id also ends each text, as in CLIP: the mask must not come from it.
        let batch = collate(
            &[example("a", &[7, 8, 9], (1, 1)), example("b", &[7, 9], (1, 1))],
            Padding::Longest,
            9,
        )
        .unwrap();
        let text = batch.text.unwrap();
        assert_eq!(text.token_ids.to_vec2::<u32>().unwrap(), [[7, 8, 9], [7, 9, 9]]);
        assert_eq!(
            text.attention_mask.to_vec2::<f32>().unwrap(),
            [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
        );
        assert_eq!(text.type_ids.dims(), [2, 3]);
        assert_eq!(text.lengths, [3, 2]);
    }

    #[test]
    fn a_fixed_length_holds_for_every_batch() {
        let examples = [example("a", &[1, 2], (1, 1))];
        let text = collate(&examples, Padding::Max(4), 5).unwrap().text.unwrap();
        assert_eq!(text.token_ids.to_vec2::<u32>().unwrap(), [[1, 2, 5, 5]]);
        let error = collate(&examples, Padding::Max(1), 5).unwrap_err().to_string();
        assert!(error.contains("`a` has 2 tokens"), "{error}");
    }

    #[test]
    fn pictures_keep_their_place_and_their_size() {
        let batch =
            collate(&[example("a", &[1], (1, 2)), example("b", &[1], (2, 1))], Padding::Longest, 0)
                .unwrap();
        let image = batch.image.unwrap();
        assert_eq!(image.sizes, [(1, 2), (2, 1)]);
        assert_eq!(image.pixel_values.dims(), [2, 3, 2, 2]);
        let values = image.pixel_values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values[..12], [1., 2., 0., 0., 3., 4., 0., 0., 5., 6., 0., 0.]);
        assert_eq!(values[12..], [1., 0., 2., 0., 3., 0., 4., 0., 5., 0., 6., 0.]);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let whole = example("whole", &[1], (1, 1));
        let blind = Example { image: None, ..example("blind", &[1], (1, 1)) };
        let error = collate(&[whole.clone(), blind], Padding::Longest, 0).unwrap_err().to_string();
        assert!(error.contains("`blind`: has no picture, but `whole` has one"), "{error}");

        let answers = mmc_data::Answers {
            scores: vec![(0, 1.0)],
            given: Box::default(),
            most_frequent: "".into(),
            question_type: "".into(),
            answer_type: "".into(),
        };
        let soft = Example { target: Some(Target::Answers(answers.into())), ..whole.clone() };
        assert!(collate(&[whole.clone(), soft], Padding::Longest, 0).is_err());
        assert!(matches!(collate(&[], Padding::Longest, 0), Err(PreprocessError::EmptyBatch)));

        let mut torn = whole;
        torn.image.as_mut().unwrap().values.pop();
        assert!(collate(&[torn], Padding::Longest, 0).is_err());
    }

    #[test]
    fn targets_are_there_when_every_row_has_one() {
        let known = example("a", &[1], (1, 1));
        let unknown = Example { target: None, ..example("b", &[1], (1, 1)) };
        let batch = collate(&[known.clone(), known.clone()], Padding::Longest, 0).unwrap();
        assert_eq!(batch.targets, Some(Targets::Classes(vec![1, 1])));
        assert_eq!(collate(&[known, unknown], Padding::Longest, 0).unwrap().targets, None);
    }

    proptest! {
        /// Whatever the lengths: a row holds its text, then the pad id, and the mask sums to the
        /// length.
        #[test]
        fn padding_only_adds(lengths in prop::collection::vec(0_usize..9, 1..6)) {
            let examples: Vec<Example> = lengths
                .iter()
                .map(|&length| example("x", &vec![3; length], (1, 1)))
                .collect();
            let text = collate(&examples, Padding::Longest, 4).unwrap().text.unwrap();
            let ids = text.token_ids.to_vec2::<u32>().unwrap();
            let mask = text.attention_mask.to_vec2::<f32>().unwrap();
            for ((row, mask), length) in ids.iter().zip(&mask).zip(lengths) {
                prop_assert!(row[..length].iter().all(|&id| id == 3));
                prop_assert!(row[length..].iter().all(|&id| id == 4));
                prop_assert!(mask[..length].iter().all(|&keep| keep > 0.5));
                prop_assert!(mask[length..].iter().all(|&keep| keep < 0.5));
            }
        }
    }
}
