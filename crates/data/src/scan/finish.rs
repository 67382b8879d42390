//! What is wrong with a row among others, once all are read.

use super::{Collector, Kind, Row, Scan};
use crate::DataError;
use crate::place::LEAVE_OUT;

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

    /// Of a table without any picture nothing is wrong: text models are trained on it.
    fn set_apart_without_picture(&mut self) {
        if !self.names_pictures || !self.request.options.arm.uses_image() {
            return;
        }
        let column = self.request.options.image_column.as_deref().unwrap_or("image");
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
