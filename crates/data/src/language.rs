//! Which language the texts of a split are in, judged from a sample of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Texts that are looked at, spread evenly over the split.
const SAMPLED_TEXTS: usize = 500;
/// Characters of a piece. One short text says little about its language, so texts are joined to
/// pieces of this length before any is judged.
const PIECE_CHARACTERS: usize = 200;
/// Share of the pieces that have to be in one language before it is called that of the texts.
const CLEAR_SHARE: f64 = 0.8;

/// The language of most of a split's texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextLanguage {
    /// Its English name, such as `Spanish`.
    pub name: String,
    /// The share of the judged text that is in it, from 0 to 1.
    pub share: f64,
    /// How many texts were looked at.
    pub texts: usize,
}

impl TextLanguage {
    /// Whether the texts are, beyond doubt, in a language that is none of `spoken` (English names).
    /// Where `spoken` is empty, nothing is known of the reader and nothing is foreign to it.
    ///
    /// ```
    /// let texts = ["el perro corre por el parque bajo la lluvia y no quiere volver a casa"; 30];
    /// let language = mmc_data::text_language(&texts).ok_or("too little text")?;
    /// assert_eq!(language.name, "Spanish");
    /// assert!(language.is_foreign_to(&["English"]) && !language.is_foreign_to(&["Spanish"]));
    /// # Ok::<(), &'static str>(())
    /// ```
    #[must_use]
    pub fn is_foreign_to<S: AsRef<str>>(&self, spoken: &[S]) -> bool {
        let speaks = spoken.iter().any(|name| name.as_ref() == self.name);
        !spoken.is_empty() && !speaks && self.share >= CLEAR_SHARE
    }
}

/// Judges some hundred of `texts`, the same ones each time; `None` where there is too little text
/// to tell. Trigrams and alphabets decide (the crate `whatlang`), so texts of numbers, of made-up
/// words or in several languages lead to a low share, not to a wrong answer.
#[must_use]
pub fn text_language<S: AsRef<str>>(texts: &[S]) -> Option<TextLanguage> {
    let stride = texts.len().div_ceil(SAMPLED_TEXTS).max(1);
    let sample: Vec<&str> = texts.iter().step_by(stride).map(AsRef::as_ref).collect();
    let pieces = pieces(&sample);
    let mut votes: BTreeMap<&'static str, usize> = BTreeMap::new();
    for piece in &pieces {
        if let Some(found) = whatlang::detect(piece) {
            *votes.entry(found.lang().eng_name()).or_default() += 1;
        }
    }
    let (name, count) = votes.into_iter().max_by_key(|(_, count)| *count)?;
    let share = count as f64 / pieces.len() as f64;
    Some(TextLanguage { name: name.to_owned(), share, texts: sample.len() })
}

/// The texts joined, in order, to pieces long enough to be judged; what is left over at the end is
/// too short and left out.
fn pieces(texts: &[&str]) -> Vec<String> {
    let (mut whole, mut open, mut characters) = (Vec::new(), String::new(), 0);
    for text in texts {
        open.push_str(text);
        open.push('\n');
        characters += text.chars().count();
        if characters >= PIECE_CHARACTERS {
            whole.push(std::mem::take(&mut open));
            characters = 0;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{ReadOptions, dataset, demo};

    fn texts(split: &crate::Split) -> Vec<&str> {
        split.iter().map(|item| item.text.as_str()).collect()
    }

    #[test]
    fn names_of_emoji_and_made_up_captions_are_not_called_foreign() {
        let emoji = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/emoji");
        let table = dataset("table").unwrap();
        for name in ["train", "val", "test"] {
            let split = table.read(&emoji, name, &ReadOptions::default()).unwrap();
            let found = text_language(&texts(&split)).unwrap();
            assert!(!found.is_foreign_to(&["English"]), "{name}: {found:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let set = demo::DemoSet::new(demo::Truth::Text, 0).with_items(400);
        demo::write(&set, folder.path()).unwrap();
        let memes = dataset("hateful_memes").unwrap();
        let split = memes.read(folder.path(), "train", &ReadOptions::default()).unwrap();
        let found = text_language(&texts(&split)).unwrap();
        assert!(!found.is_foreign_to(&["English"]), "{found:?}");
    }

    #[test]
    fn short_texts_of_other_languages_are_recognised_together() {
        // Headlines: about five words each, too short to be judged alone.
        let spanish = [
            "Sube el precio de la vivienda",
            "El gobierno aprueba la ley de aguas",
            "Muere el pintor más querido del país",
            "Los vecinos piden más luz en las calles",
            "Gana el equipo local en el último minuto",
            "La lluvia corta tres carreteras del norte",
            "Detenido por robar una bicicleta",
        ];
        let german = [
            "Der Preis für Wohnungen steigt weiter",
            "Regierung beschließt neues Gesetz über Wasser",
            "Nachbarn fordern mehr Licht in den Straßen",
            "Heimmannschaft gewinnt in der letzten Minute",
            "Regen sperrt drei Straßen im Norden",
            "Mann wegen Diebstahls eines Fahrrads verhaftet",
        ];
        let russian = ["Цены на жильё снова растут", "Дождь перекрыл три дороги на севере страны"];
        for (texts, name) in
            [(&spanish[..], "Spanish"), (&german[..], "German"), (&russian[..], "Russian")]
        {
            let texts: Vec<&str> = texts.iter().copied().cycle().take(60).collect();
            let found = text_language(&texts).unwrap();
            assert_eq!((found.name.as_str(), found.texts), (name, 60));
            assert!(found.is_foreign_to(&["English"]), "{found:?}");
            assert!(!found.is_foreign_to(&["English", name]), "{found:?}");
            assert!(!found.is_foreign_to::<&str>(&[]));
        }
    }

    #[test]
    fn little_or_mixed_text_is_not_judged() {
        assert_eq!(text_language(&["hola", "adiós"]), None);
        assert_eq!(text_language::<&str>(&[]), None);
        assert_eq!(text_language(&["17 4 2019"; 100]), None);
        let half = [
            "el perro corre por el parque bajo la lluvia y no quiere volver nunca a casa",
            "the dog runs through the park in the rain and never wants to come back home again",
        ];
        let mixed: Vec<&str> = (0..60).map(|row| half[usize::from(row >= 30)]).collect();
        let found = text_language(&mixed).unwrap();
        assert!(!found.is_foreign_to(&["French"]), "{found:?}");
    }

    #[test]
    fn a_large_split_is_sampled_evenly() {
        let texts: Vec<String> =
            (0..5000).map(|row| format!("the house of number {row}")).collect();
        let found = text_language(&texts).unwrap();
        assert!(found.texts > 400 && found.texts <= SAMPLED_TEXTS, "{found:?}");
    }
}
