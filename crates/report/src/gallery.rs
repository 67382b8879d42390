//! The items that the picture rescued and those it hurt, from the predictions of a model and of its
//! text arm.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mmc_data::{Arm, ImageSource, Sample, thumbnail};
use mmc_run::{GalleryClass, GalleryItem, PictureEffect, Prediction, RunConfig};

use crate::arm::{ArmRuns, mean};
use crate::overlap::read_split;
use crate::{ReportError, Results};

/// Items of each effect that are kept of each model.
const KEPT: usize = 8;
/// Pixels of the longer side of a small picture.
const SIDE: u32 = 160;

/// The most decisive items of each multimodal model, rescued first. An item counts where most seeds
/// of the text arm and most seeds of the model with the picture differ about whether it is right.
///
/// # Errors
/// [`ReportError::Data`] where the test split cannot be read as it was, since the texts and pictures
/// are in no file of the results.
pub fn gallery(results: &Results) -> Result<Vec<GalleryItem>, ReportError> {
    let arms = ArmRuns::all(results);
    let mut items = Vec::new();
    let mut samples: Option<BTreeMap<String, Sample>> = None;
    for both in arms.iter().filter(|arm| arm.arm == Arm::Both) {
        let text = arms.iter().find(|arm| arm.arm == Arm::Text && arm.model == both.model);
        let (Some(text), Some(run)) = (text, both.runs.first()) else { continue };
        let candidates = candidates(both, text);
        if candidates.is_empty() {
            continue;
        }
        let samples = match &mut samples {
            Some(samples) => samples,
            none => none.insert(read_samples(&run.config)?),
        };
        items.extend(candidates.into_iter().filter_map(|item| shown(item, samples)));
    }
    Ok(items)
}

/// Items without text and picture.
fn candidates(both: &ArmRuns, text: &ArmRuns) -> Vec<GalleryItem> {
    let rows = |arm: &ArmRuns| -> Vec<Vec<Prediction>> {
        let tests = arm.runs.iter().filter_map(|run| run.test.as_ref());
        tests.map(|test| test.rows.clone()).collect()
    };
    let classes = both.first_rows().map(|rows| rows.classes.clone()).unwrap_or_default();
    let (with, without) = (rows(both), rows(text));
    let (Some(first), false) = (with.first(), without.is_empty()) else { return Vec::new() };
    // All files are cut to the same items in the same order.
    let found = (0..first.len()).filter_map(|row| {
        let at = |files: &[Vec<Prediction>]| -> Vec<Prediction> {
            files.iter().filter_map(|file| file.get(row).cloned()).collect()
        };
        item(both.model, &classes, (&at(&without), &at(&with)))
    });
    let (mut rescued, mut hurt): (Vec<_>, Vec<_>) =
        found.partition(|item| item.effect == PictureEffect::Rescued);
    for side in [&mut rescued, &mut hurt] {
        side.sort_by(|a, b| b.change.abs().total_cmp(&a.change.abs()));
        side.truncate(KEPT);
    }
    rescued.into_iter().chain(hurt).collect()
}

/// An item on which the picture decided, from its rows without and with it, a seed each.
fn item(
    model: &str,
    classes: &[String],
    (without, with): (&[Prediction], &[Prediction]),
) -> Option<GalleryItem> {
    let label = with.first()?.label.clone()?;
    let place = classes.iter().position(|class| *class == label)?;
    let right = |rows: &[Prediction]| {
        [rows.iter().filter(|row| row.prediction == label).count(), rows.len()]
    };
    let mostly = |[right, of]: [usize; 2]| 2 * right > of;
    let (text_arm_right, both_right) = (right(without), right(with));
    let effect = match (mostly(text_arm_right), mostly(both_right)) {
        (false, true) => PictureEffect::Rescued,
        (true, false) => PictureEffect::Hurt,
        _ => return None,
    };
    let probability = |rows: &[Prediction], class: usize| {
        mean(&rows.iter().map(|row| row.probabilities[class]).collect::<Vec<_>>())
    };
    let of_class = |(class, name): (usize, &String)| GalleryClass {
        name: name.clone(),
        text_arm: probability(without, class),
        both: probability(with, class),
    };
    Some(GalleryItem {
        model: model.to_owned(),
        effect,
        id: with.first()?.id.clone(),
        text: String::new(),
        thumbnail: None,
        classes: classes.iter().enumerate().map(of_class).collect(),
        change: probability(with, place) - probability(without, place),
        label,
        text_arm_right,
        both_right,
    })
}

/// The samples of a run's test split by their ids.
fn read_samples(config: &RunConfig) -> Result<BTreeMap<String, Sample>, ReportError> {
    let Some(test) = &config.data.test else { return Ok(BTreeMap::new()) };
    let split = read_split(config, test)?;
    Ok(split.samples.into_iter().map(|sample| (sample.id.clone(), sample)).collect())
}

/// The item with what is to be seen of it; `None` where the split has no such item.
fn shown(item: GalleryItem, samples: &BTreeMap<String, Sample>) -> Option<GalleryItem> {
    let sample = samples.get(&item.id)?;
    let address = |source: &ImageSource| {
        // A picture that cannot be read is a gap in the gallery; training has told of it.
        let bytes = thumbnail(source, SIDE).ok()?;
        Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
    };
    let thumbnail = sample.image.as_ref().and_then(address);
    Some(GalleryItem { text: sample.text.clone(), thumbnail, ..item })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prediction: usize, probability: f64) -> Prediction {
        let classes = ["no", "yes"];
        Prediction {
            id: "7".to_owned(),
            label: Some("yes".to_owned()),
            prediction: classes[prediction].to_owned(),
            probabilities: vec![1.0 - probability, probability],
            logits: None,
            group: None,
            answer: None,
        }
    }

    #[test]
    fn most_seeds_of_both_arms_decide_what_the_picture_did() {
        let classes = ["no", "yes"].map(str::to_owned);
        let (wrong, right) = (row(0, 0.25), row(1, 0.75));
        let of = |without: &[Prediction], with: &[Prediction]| item("m", &classes, (without, with));
        let two_of_three = [right.clone(), wrong.clone(), right.clone()];
        let none = [wrong.clone(), wrong.clone(), wrong.clone()];
        let found = of(&none, &two_of_three).unwrap();
        assert_eq!(found.effect, PictureEffect::Rescued);
        assert_eq!((found.text_arm_right, found.both_right), ([0, 3], [2, 3]));
        assert!((found.change - 1.0 / 3.0).abs() < 1e-12, "{}", found.change);
        assert!((found.classes[1].both - 1.75 / 3.0).abs() < 1e-12);
        let found = of(&two_of_three, &none).unwrap();
        assert!(found.effect == PictureEffect::Hurt && found.change < 0.0);
        assert!(of(&none, &none).is_none());
        // A draw is no majority.
        assert!(of(&none[..2], &[right, wrong]).is_none());
    }
}
