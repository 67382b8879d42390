//! What is wrong with a row among others, once all are read.

use super::{Collector, Kind, Row, Scan};
use crate::place::LEAVE_OUT;
use crate::{DataError, OnBadItem};

impl Collector<'_> {
    /// All that was found. Where only some rows have a label, the others are problems, and so they are
    /// where only some name a picture and the model is shown pictures.
    pub(crate) fn finish(mut self) -> Result<Scan, DataError> {
        self.set_apart_unlabelled();
        self.set_apart_without_picture();
        self.problems.sort_by_key(|problem| problem.line);
        Ok(Scan {
            name: self.request.dataset.split_name(self.request.split)?,
            path: self.path,
            labels: self.labels.names,
            rows: self.rows,
            problems: self.problems,
            absent: self.absent,
            missing: self.missing,
            notes: self.notes,
            names_pictures: self.names_pictures,
        })
    }

    fn set_apart_unlabelled(&mut self) {
        let labelled = self.rows.iter().filter(|row| row.sample.target.is_some()).count();
        if labelled > 0 && labelled < self.rows.len() {
            let (kept, bare): (Vec<Row>, Vec<Row>) =
                self.rows.drain(..).partition(|row| row.sample.target.is_some());
            self.rows = kept;
            for row in bare {
                let words = format!(
                    "no `label` (id `{}`), though {labelled} other rows have one; add it, or \
                     leave it out of every row",
                    row.sample.id
                );
                self.report(row.line, Kind::WrongLabel, "label", words);
            }
        }
    }

    /// Of a table without any picture nothing is wrong: text models are trained on it. Where bad items may be
    /// skipped, the rows stay, as those whose picture is missing do.
    fn set_apart_without_picture(&mut self) {
        let options = self.request.options;
        let is_needed = options.arm.uses_image() && options.on_bad_item == OnBadItem::Error;
        if !self.names_pictures || !is_needed {
            return;
        }
        let column = options.image_column.as_deref().unwrap_or("image");
        let (kept, bare): (Vec<Row>, Vec<Row>) =
            self.rows.drain(..).partition(|row| row.sample.image.is_some());
        self.rows = kept;
        for row in bare {
            let words = format!(
                "no `{column}` (id `{}`), though other rows have one; name its picture, {LEAVE_OUT}, or \
                 train on the texts alone (`--arm text`)",
                row.sample.id
            );
            self.report(row.line, Kind::MissingPicture, column, words);
        }
    }
}
