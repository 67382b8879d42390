//! The columns of a table: which there must be, and what a row says in each.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

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
    names: [Cow<'a, str>; 4],
    /// Whether a file without the column is wrong.
    required: [bool; 4],
}

const USUAL: [&str; 4] = ["id", "text", "image", "label"];
const FLAGS: [&str; 4] = ["--id-column", "--text-column", "--image-column", "--label-column"];

/// The columns of a file of [`Inputs`](crate::Inputs) that has others than `id`, `text` and `image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputColumns {
    /// Of ids, in place of `id`.
    pub id: Option<String>,
    /// Of texts, in place of `text`.
    pub text: Option<String>,
    /// Of pictures, in place of `image`.
    pub image: Option<String>,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(options: &'a ReadOptions) -> Result<Self, DataError> {
        let given = [
            &options.id_column,
            &options.text_column,
            &options.image_column,
            &options.label_column,
        ];
        // A text may be empty, but a table without the column is far more often a mistake.
        let required = [given[0].is_some(), true, given[2].is_some(), given[3].is_some()];
        let names = std::array::from_fn(|at| Cow::from(given[at].as_deref().unwrap_or(USUAL[at])));
        Self { names, required }.distinct()
    }

    /// The columns of rows that are not part of a data set. A text is needed only where the model is shown
    /// it.
    pub(crate) fn of_inputs(
        given: InputColumns,
        needs_text: bool,
    ) -> Result<Columns<'static>, DataError> {
        let InputColumns { id, text, image } = given;
        let required = [id.is_some(), needs_text, image.is_some(), false];
        let mut given = [id, text, image, None].into_iter();
        let names = USUAL.map(|usual| given.next().flatten().map_or(usual.into(), Cow::from));
        Columns { names, required }.distinct()
    }

    /// Itself, unless one column is to be two.
    fn distinct(self) -> Result<Self, DataError> {
        let names = &self.names;
        for (index, name) in names.iter().enumerate() {
            if let Some(earlier) = names[..index].iter().position(|other| other == name) {
                return Err(DataError::Setting(format!(
                    "`{}` and `{}` both name the column `{name}`; give each its own",
                    FLAGS[earlier], FLAGS[index]
                )));
            }
        }
        Ok(self)
    }

    fn names(&self) -> [&str; 4] {
        std::array::from_fn(|at| self.names[at].as_ref())
    }

    fn absent(&self, index: usize, others: &[String]) -> String {
        absent_column(&self.names[index], others, FLAGS[index])
    }

    /// The rows of a file whose header has the columns that it must have.
    pub(crate) fn read(&self, source: &Source) -> Result<RawTable, DataError> {
        let table = read_rows(source, &self.names(), None)?;
        self.check_present(source.path(), &table.present, &table.others)?;
        Ok(table)
    }

    /// The same, where only labels are asked for: pictures that lie in the file are left unread.
    pub(crate) fn read_labels(&self, source: &Source) -> Result<RawTable, DataError> {
        let table = read_rows(source, &self.names(), Some(&self.names[2]))?;
        self.check_present(source.path(), &table.present, &table.others)?;
        Ok(table)
    }

    /// The same, to be read a row at a time.
    pub(crate) fn open(&self, source: &Source) -> Result<OpenTable, DataError> {
        let rows = open_rows(source, &self.names())?;
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
        let name = |index: usize| self.names[index].as_ref();
        for (index, value) in [(0, id), (2, image), (3, label)] {
            check_one_line(name(index), value)?;
        }
        let text = match text_of(name(1), text)? {
            None if self.required[1] => {
                return Err((name(1).to_owned(), absent_value(name(1), &row.others, FLAGS[1])));
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
