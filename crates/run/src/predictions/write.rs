//! Writing predictions in any format, a part at a time.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Prediction, Predictions, csv, extension, jsonl, parquet};
use crate::{RunError, write_atomically};

/// What a file must know before its first row.
#[derive(Clone)]
pub(super) struct Table {
    /// The file, for errors.
    pub(super) path: PathBuf,
    pub(super) classes: Vec<String>,
    /// Whether any row has logits.
    pub(super) logits: bool,
    /// Whether any row has a group.
    pub(super) groups: bool,
    /// Whether the rows are answers to questions.
    pub(super) answers: bool,
}

impl Table {
    fn new(path: &Path, classes: &[String]) -> Self {
        let (path, classes) = (path.to_owned(), classes.to_vec());
        Self { path, classes, logits: false, groups: false, answers: false }
    }

    /// Takes note of rows that will be written.
    fn see(&mut self, rows: &[Prediction]) {
        self.logits |= rows.iter().any(|row| row.logits.is_some());
        self.groups |= rows.iter().any(|row| row.group.is_some());
        self.answers |= rows.iter().any(|row| row.answer.is_some());
    }
}

/// A file of one of the formats.
enum Writer<W: Write + Send> {
    Jsonl(jsonl::Writer<W>),
    Csv(Box<csv::Writer<W>>),
    Parquet(Box<parquet::Writer<W>>),
}

impl<W: Write + Send> Writer<W> {
    fn new(extension: &str, table: Table, out: W) -> Result<Self, RunError> {
        if table.answers && extension == "csv" {
            let problem = "answers to questions do not fit into CSV; write .jsonl or .parquet";
            return Err(RunError::file(&table.path, problem));
        }
        Ok(match extension {
            "jsonl" => Self::Jsonl(jsonl::Writer::new(table, out)),
            "csv" => Self::Csv(Box::new(csv::Writer::new(table, out)?)),
            _ => Self::Parquet(Box::new(parquet::Writer::new(table, out)?)),
        })
    }

    fn write(&mut self, rows: &[Prediction]) -> Result<(), RunError> {
        match self {
            Self::Jsonl(writer) => writer.write(rows),
            Self::Csv(writer) => writer.write(rows),
            Self::Parquet(writer) => writer.write(rows),
        }
    }

    fn close(self) -> Result<(), RunError> {
        match self {
            Self::Jsonl(_) => Ok(()),
            Self::Csv(writer) => writer.close(),
            Self::Parquet(writer) => writer.close(),
        }
    }
}

/// An answer as the evaluation server of VQA takes it.
#[derive(serde::Serialize)]
struct Submitted<'a> {
    question_id: u64,
    answer: &'a str,
}

impl Predictions {
    /// Writes answers to questions as the evaluation server of VQA takes them: one JSON list of
    /// `question_id` and `answer`.
    ///
    /// # Errors
    /// [`RunError::File`] for rows that are no answers, or whose ids are no whole numbers.
    pub fn write_results(&self, path: &Path) -> Result<(), RunError> {
        let submitted = |row: &'_ Prediction| -> Result<u64, RunError> {
            row.id.parse().ok().filter(|_| row.answer.is_some()).ok_or_else(|| {
                let id = &row.id;
                let problem =
                    format!("item `{id}` is no answer to a question with a number for an id");
                RunError::file(path, problem)
            })
        };
        let mut rows = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            rows.push(Submitted { question_id: submitted(row)?, answer: &row.prediction });
        }
        write_atomically(path, |out| {
            serde_json::to_writer(&mut *out, &rows).map_err(|error| RunError::file(path, error))?;
            out.write_all(b"\n").map_err(RunError::io(path))
        })
    }

    /// Writes a file by its extension, whole or not at all.
    ///
    /// # Errors
    /// [`RunError`] naming the file; [`RunError::Unknown`] for another extension.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        let extension = extension(path)?;
        let mut table = Table::new(path, &self.classes);
        table.see(&self.rows);
        write_atomically(path, |out| {
            let mut writer = Writer::new(extension, table, out)?;
            writer.write(&self.rows)?;
            writer.close()
        })
    }

    /// Writes the rows of one file to another, whose extension says its format: as
    /// [`Predictions::read`] and [`Predictions::write`], with a part of the rows in memory at a
    /// time.
    ///
    /// # Errors
    /// As [`Predictions::read_in_parts`], of `from`, and [`Predictions::write`], of `to`.
    pub fn rewrite(from: &Path, to: &Path) -> Result<(), RunError> {
        let extension = extension(to)?;
        let mut table: Option<Table> = None;
        Self::read_in_parts(from, |part| {
            table.get_or_insert_with(|| Table::new(to, &part.classes)).see(&part.rows);
            Ok(())
        })?;
        let Some(table) = table else {
            return Err(RunError::file(
                from,
                "no rows; predictions of at least one item are needed",
            ));
        };
        write_atomically(to, |out| {
            let mut writer = Writer::new(extension, table, out)?;
            Self::read_in_parts(from, |part| writer.write(&part.rows))?;
            writer.close()
        })
    }
}
