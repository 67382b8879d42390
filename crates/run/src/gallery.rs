//! `gallery.jsonl` of a results folder: items on which the picture decided, to be looked at.

use serde::{Deserialize, Serialize};

/// What the picture did to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureEffect {
    /// The text arm is wrong and the model with text and picture right.
    Rescued,
    /// The text arm is right and the model with text and picture wrong.
    Hurt,
}

/// A line of `gallery.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GalleryItem {
    /// The multimodal model.
    pub model: String,
    /// What the picture did: in most seeds of both arms.
    pub effect: PictureEffect,
    /// The item's id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its class.
    pub label: String,
    /// Its picture as a small JPEG, a `data:` address that a page can hold; null where it could not
    /// be read.
    pub thumbnail: Option<String>,
    /// Of each class, in the order of the data set.
    pub classes: Vec<GalleryClass>,
    /// How much more probable the picture makes the item's class, a mean over seeds; below 0 where
    /// it hurts. Lines of a model and effect are in the order of its size.
    pub change: f64,
    /// Seeds of the text arm that are right, and how many there are.
    pub text_arm_right: [usize; 2],
    /// Seeds with text and picture that are right, and how many there are.
    pub both_right: [usize; 2],
}

/// The probability of a class, a mean over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GalleryClass {
    /// Its name.
    pub name: String,
    /// What the model's text arm gives it.
    pub text_arm: f64,
    /// What the model gives it with text and picture.
    pub both: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let class =
            |name: &str, text_arm, both| GalleryClass { name: name.to_owned(), text_arm, both };
        let item = GalleryItem {
            model: "vilt".to_owned(),
            effect: PictureEffect::Rescued,
            id: "7".to_owned(),
            text: "look how many people love you".to_owned(),
            label: "hateful".to_owned(),
            thumbnail: Some("data:image/jpeg;base64,/9j/".to_owned()),
            classes: vec![class("not_hateful", 0.75, 0.25), class("hateful", 0.25, 0.75)],
            change: 0.5,
            text_arm_right: [0, 3],
            both_right: [3, 3],
        };
        let line = serde_json::to_string(&item).unwrap();
        assert!(line.contains(r#""effect":"rescued""#), "{line}");
        assert_eq!(serde_json::from_str::<GalleryItem>(&line).unwrap(), item);
    }
}
