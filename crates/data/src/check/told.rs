//! How far a check is.

use std::sync::{Mutex, PoisonError};

/// Is told how far a part of a check is: its name, what of it is done, and how much it is. One call after
/// the other, from the threads that do it.
pub type Tell<'a> = dyn Fn(&'static str, usize, usize) + Sync + 'a;

/// A part that threads do together.
pub(super) struct Told<'a> {
    what: &'static str,
    of: usize,
    done: Mutex<usize>,
    tell: &'a Tell<'a>,
}

impl<'a> Told<'a> {
    /// A part of so much.
    pub(super) fn new(what: &'static str, of: usize, tell: &'a Tell<'a>) -> Self {
        Self { what, of, done: Mutex::new(0), tell }
    }

    /// One more is done.
    pub(super) fn one(&self) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += 1;
        (self.tell)(self.what, *done, self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_for;
    use crate::check::lengths::{Between, TextCounter, TextModel};
    use crate::fixture::Folder;
    use crate::{ReadOptions, dataset};

    #[test]
    fn pictures_and_texts_are_counted_up_to_the_last() {
        let folder =
            Folder::with(&[("train.csv", "text,image,label\na,1.png,x\nb,2.png,y\nc,1.png,x\n")]);
        for name in ["1.png", "2.png"] {
            image::RgbImage::new(2, 2).save(folder.path().join(name)).unwrap();
        }
        let told = Mutex::new(Vec::new());
        let tell = |what, done, of| told.lock().unwrap().push((what, done, of));
        let model = TextModel { name: "m".to_owned(), limit: 5, max_length: None };
        let counter = || TextCounter {
            count: Box::new(|_| Some(Between::exactly(1))),
            tokenizer: None,
            models: vec![model.clone()],
        };
        let (set, options) = (dataset("table").unwrap(), ReadOptions::default());
        check_for(set, folder.path(), &options, &[counter(), counter()], &tell).unwrap();
        let pictures = (1..=2).map(|done| ("pictures", done, 2));
        let texts = (1..=6).map(|done| ("texts", done, 6));
        assert_eq!(told.into_inner().unwrap(), pictures.chain(texts).collect::<Vec<_>>());
    }
}
