//! The columns of a table: which there must be, and what a row says in each.

use std::path::Path;

use crate::rows::{
    OpenTable, RawRow, RawTable, Value, absent_column, absent_value, open_rows, read_rows,
};
use crate::scan::{FieldError, Fields, Named};
use crate::source::Source;
use crate::values::{check_one_line, name_of, text_of};
use crate::{DataError, ReadOptions};

/// The names of the four columns, and which of them the user chose.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    /// Id, text, image, label.
    names: [&'a str; 4],
    /// Whether a file without the column is wrong.
    required: [bool; 4],
    /// Whether a user can name other columns.
    has_flags: bool,
}

const FLAGS: [&str; 4] = ["--id-column", "--text-column", "--image-column", "--label-column"];

impl<'a> Columns<'a> {
    pub(crate) fn new(options: &'a ReadOptions) -> Result<Self, DataError> {
        let given = [
            &options.id_column,
            &options.text_column,
            &options.image_column,
            &options.label_column,
        ];
        let names = [
            given[0].as_deref().unwrap_or("id"),
            given[1].as_deref().unwrap_or("text"),
            given[2].as_deref().unwrap_or("image"),
            given[3].as_deref().unwrap_or("label"),
        ];
        for (index, name) in names.iter().enumerate() {
            if let Some(earlier) = names[..index].iter().position(|other| other == name) {
                return Err(DataError::Setting(format!(
                    "`{}` and `{}` both name the column `{name}`; give each its own",
                    FLAGS[earlier], FLAGS[index]
                )));
            }
        }
        // A text may be empty, but a table without the column is far more often a mistake.
        let required = [given[0].is_some(), true, given[2].is_some(), given[3].is_some()];
        Ok(Self { names, required, has_flags: true })
    }

    /// The columns of rows that are not part of a data set: the path of a picture is in `image`.
    /// A text is needed only where the model is shown it.
    pub(crate) fn of_inputs(image: &'a str, needs_text: bool) -> Self {
        let required = [false, needs_text, false, false];
        Self { names: ["id", "text", image, "label"], required, has_flags: false }
    }

    fn absent(&self, index: usize, others: &[String]) -> String {
        absent_column(self.names[index], others, self.has_flags.then(|| FLAGS[index]))
    }

    /// The rows of a file whose header has the columns that it must have.
    pub(crate) fn read(&self, source: &Source) -> Result<RawTable, DataError> {
        let table = read_rows(source, &self.names, None)?;
        self.check_present(source.path(), &table.present, &table.others)?;
        Ok(table)
    }

    /// The same, where only labels are asked for: pictures that lie in the file are left unread.
    pub(crate) fn read_labels(&self, source: &Source) -> Result<RawTable, DataError> {
        let table = read_rows(source, &self.names, Some(self.names[2]))?;
        self.check_present(source.path(), &table.present, &table.others)?;
        Ok(table)
    }

    /// The same, to be read a row at a time.
    pub(crate) fn open(&self, source: &Source) -> Result<OpenTable, DataError> {
        let rows = open_rows(source, &self.names)?;
        self.check_present(source.path(), &rows.present, &rows.others)?;
        Ok(rows)
    }

    fn check_present(
        &self,
        path: &Path,
        present: &[bool],
        others: &[String],
    ) -> Result<(), DataError> {
        for (index, name) in self.names.iter().enumerate() {
            if self.required[index] && !present[index] {
                return Err(DataError::row(path, 1, name, self.absent(index, others)));
            }
        }
        Ok(())
    }

    pub(crate) fn fields(&self, row: &RawRow) -> Result<Fields, FieldError> {
        let [id, text, image, label] = row.values.as_slice() else {
            return Err((String::new(), "the row has no columns".to_owned()));
        };
        let name = |index: usize| self.names[index];
        for (index, value) in [(0, id), (2, image), (3, label)] {
            check_one_line(name(index), value)?;
        }
        let text = match text_of(name(1), text)? {
            None if self.required[1] => {
                let flag = self.has_flags.then_some(FLAGS[1]);
                return Err((name(1).to_owned(), absent_value(name(1), &row.others, flag)));
            }
            text => text.unwrap_or_default(),
        };
        Ok(Fields {
            id: name_of(name(0), id)?,
            text,
            image: match image {
                Value::Bytes(packed) => Some(Named::Within(packed.clone())),
                path => text_of(name(2), path)?.filter(|path| !path.is_empty()).map(Named::Path),
            },
            label: name_of(name(3), label)?,
            group: None,
        })
    }
}
