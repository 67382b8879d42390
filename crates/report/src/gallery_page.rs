//! A few items of the gallery as text.

use mmc_run::{GalleryItem, PictureEffect};

use crate::Results;
use crate::markdown::Block;

/// Items of each effect that are shown of each model.
const SHOWN: usize = 3;

/// The most decisive items of each model; nothing without a gallery.
pub(crate) fn blocks(results: &Results) -> Vec<Block> {
    if results.gallery.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for model in &results.record.grid.multimodal_models {
        for effect in [PictureEffect::Rescued, PictureEffect::Hurt] {
            let of = |item: &&GalleryItem| item.model == *model && item.effect == effect;
            lines.extend(results.gallery.iter().filter(of).take(SHOWN).map(line));
        }
    }
    let words = "Test items that most seeds of a model's text arm get wrong and most seeds with the \
                 picture right (rescued), and the other way round (hurt), the most decisive first: \
                 they are the extremes of many, and prove nothing. All, with their pictures, are in \
                 `gallery.jsonl`.";
    vec![
        Block::Heading(2, "Items on which the picture decided".to_owned()),
        Block::Paragraph(words.to_owned()),
        Block::List(lines),
    ]
}

fn line(item: &GalleryItem) -> String {
    let effect = match item.effect {
        PictureEffect::Rescued => "rescued",
        PictureEffect::Hurt => "hurt",
    };
    let class = item.classes.iter().find(|class| class.name == item.label);
    let (without, with) = class.map_or((0.0, 0.0), |class| (class.text_arm, class.both));
    let ([text, of_text], [both, of_both]) = (item.text_arm_right, item.both_right);
    format!(
        "{} {effect} `{}`, {}: `{}`; its class has probability {without:.2} without and {with:.2} \
         with the picture; right with {text} of {of_text} seeds without, {both} of {of_both} with",
        item.model,
        item.id,
        item.label,
        one_line(&item.text)
    )
}

/// A text of other people in a line of ours.
fn one_line(text: &str) -> String {
    const MOST: usize = 160;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    if words.chars().count() <= MOST {
        return words;
    }
    words.chars().take(MOST).chain(['…']).collect()
}
