//! Generated tables: `train.csv`, `val.csv` and `test.csv` with captions in English, or in Spanish for
//! news, and two classes.

use super::folder::Folder;
use super::memes::{Item, pictures, plan};
use super::words::{ENGLISH, Lexicon, SPANISH};
use super::{DemoSet, MANIFEST};
use crate::DataError;

/// A table of one's own.
pub(super) fn own(set: &DemoSet) -> Result<Folder, DataError> {
    folder(set, &ENGLISH, ["no", "yes"])
}

/// Spanish news of two sections.
pub(super) fn news(set: &DemoSet) -> Result<Folder, DataError> {
    folder(set, &SPANISH, ["cultura", "sucesos"])
}

fn folder(set: &DemoSet, lexicon: &Lexicon, classes: [&str; 2]) -> Result<Folder, DataError> {
    let splits = plan(set, lexicon)?;
    let mut files = Vec::new();
    for (name, items) in ["train", "val", "test"].into_iter().zip(&splits) {
        let table = table(items, classes).map_err(|error| {
            DataError::file(MANIFEST.as_ref(), format!("{error}; report this as a fault"))
        })?;
        files.push((format!("{name}.csv"), table));
    }
    Ok(Folder { pictures: pictures(&splits), files })
}

fn table(items: &[Item], classes: [&str; 2]) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "text", "image", "label"])?;
    for item in items {
        let id = item.id.to_string();
        let label = classes[usize::from(item.label)];
        writer.write_record([id.as_str(), &item.text, &item.picture, label])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use crate::demo::{DemoSet, Format, Truth, write};
    use crate::{ReadOptions, dataset, text_language};

    #[test]
    fn tables_are_read_as_ones_own_and_news_are_in_spanish() {
        let place = tempfile::tempdir().unwrap();
        for (format, language) in [(Format::Table, "English"), (Format::News, "Spanish")] {
            let name = format.dataset();
            let root = place.path().join(name);
            let set = DemoSet::of(format, Truth::Interaction, 1).with_items(400);
            write(&set, &root).unwrap();
            let train = dataset(name).unwrap().read(&root, "train", &ReadOptions::default());
            let train = train.unwrap();
            assert_eq!((train.len(), train.labels.len()), (400, 2));
            assert!(train.notes[0].contains("generated demo data"), "{:?}", train.notes);
            let texts: Vec<&str> = train.iter().map(|sample| sample.text.as_str()).collect();
            assert_eq!(text_language(&texts).unwrap().name, language);
            assert!(train.class_counts().iter().all(|count| *count > 150));
        }
    }
}
