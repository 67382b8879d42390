//! Items on which the picture decided, to be looked at.

use mmc_run::{GalleryItem, PictureEffect};

use super::{Page, heading};
use crate::document::{Block, Card, Picture, plain};

/// Items of each effect that are shown of each model.
const SHOWN: usize = 4;
/// Letters of a text that are shown.
const MOST: usize = 240;

impl Page<'_> {
    /// The most decisive items of each model; nothing without a gallery.
    pub(super) fn gallery(&self) -> Vec<Block> {
        let results = self.results;
        if results.gallery.is_empty() {
            return Vec::new();
        }
        let words = self.caption(
            "Test items that most seeds of a model's text arm get wrong and most seeds with the \
             picture right (rescued), and the other way round (hurt), the most decisive first: they \
             are the extremes of many, and prove nothing. All of them are in `gallery.jsonl`.",
        );
        let mut blocks =
            vec![heading("Items on which the picture decided"), Block::Paragraph(words)];
        for model in &results.record.grid.multimodal_models {
            for effect in [PictureEffect::Rescued, PictureEffect::Hurt] {
                let of = |item: &&GalleryItem| item.model == *model && item.effect == effect;
                let items = results.gallery.iter().filter(of).take(SHOWN);
                let cards: Vec<Card> = items.map(card).collect();
                if !cards.is_empty() {
                    let word = match effect {
                        PictureEffect::Rescued => "rescued",
                        PictureEffect::Hurt => "hurt",
                    };
                    let demo = if self.verdict.demo { "DEMO: " } else { "" };
                    blocks.push(Block::Heading(3, format!("{demo}{model}, {word}")));
                    blocks.push(Block::Gallery(cards));
                }
            }
        }
        blocks
    }
}

fn card(item: &GalleryItem) -> Card {
    let class = item.classes.iter().find(|class| class.name == item.label);
    let (without, with) = class.map_or((0.0, 0.0), |class| (class.text_arm, class.both));
    let ([text, of_text], [both, of_both]) = (item.text_arm_right, item.both_right);
    let words = item.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = plain(&words).chars().take(MOST).collect();
    if words.chars().count() > MOST {
        shown.push('…');
    }
    Card {
        title: plain(&item.id),
        text: shown,
        picture: item.thumbnail.as_deref().and_then(Picture::of),
        lines: vec![
            format!("is {}", plain(&item.label)),
            format!("given probability {without:.2} without, {with:.2} with the picture"),
            format!("right in {text} of {of_text} seeds without, {both} of {of_both} with"),
        ],
    }
}
