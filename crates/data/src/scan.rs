//! Rows that have been read, and all that was found wrong with them.

mod finish;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::Request;
use crate::error::{listed, nearest};
use crate::groups::group_shared_content;
use crate::place::LEAVE_OUT;
use crate::rows::RawRow;
use crate::values::plain;
use crate::{DataError, ImageSource, OnBadItem, Packed, Sample, Split, SplitName, Target};

/// What a reader finds in one file: usable rows and problems, nothing lost.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) name: SplitName,
    pub(crate) path: PathBuf,
    pub(crate) labels: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// In the order of the file.
    pub(crate) problems: Vec<Problem>,
    /// What is wrong with usable rows whose picture is missing, where bad items may be skipped.
    pub(crate) absent: Vec<Problem>,
    /// The pictures that are missing, each once.
    pub(crate) missing: BTreeSet<String>,
    pub(crate) notes: Vec<String>,
    /// Whether a row names a picture, be it there or not.
    pub(crate) names_pictures: bool,
}

/// A usable row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) sample: Sample,
}

/// What kind of thing is wrong with a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A split has no file, or one that cannot be read at all.
    UnreadableSplit,
    /// A row cannot be understood.
    MalformedRow,
    /// An id was used before.
    DuplicateId,
    /// A label is none of the classes, or is missing in a labelled file.
    WrongLabel,
    /// The path of a picture leaves the data root.
    OutsidePicture,
    /// A picture is not there.
    MissingPicture,
    /// A picture cannot be decoded.
    UnreadablePicture,
}

/// One thing wrong with one row.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) error: DataError,
}

impl Scan {
    /// Whether the file has no row at all, neither a usable one nor another.
    pub(crate) fn is_without_rows(&self) -> bool {
        self.rows.is_empty() && self.problems.is_empty()
    }

    /// What is wrong with a file of which nothing can be used.
    pub(crate) fn no_usable_row(&self) -> DataError {
        let problem = "no usable row in this file; check that it was copied whole";
        DataError::file(&self.path, problem)
    }

    /// What is wrong with a file all of whose rows would be skipped: most likely the folder of pictures is
    /// elsewhere.
    fn no_picture(&self, first: &Problem) -> DataError {
        let words = match &first.error {
            DataError::Row { problem, .. } => problem.replace(&format!(", or {LEAVE_OUT}"), ""),
            error => error.to_string(),
        };
        let problem = format!(
            "no row is left: the pictures of all {} are missing; the first, of line {}: {words}",
            self.absent.len(),
            first.line
        );
        DataError::file(&self.path, problem)
    }

    /// The split, if nothing is wrong that may not be skipped.
    pub(crate) fn into_split(mut self) -> Result<Split, DataError> {
        if let Some(problem) = std::mem::take(&mut self.problems).into_iter().next() {
            return Err(problem.error);
        }
        if self.rows.is_empty() {
            return Err(self.no_usable_row());
        }
        if let Some(first) = self.absent.first() {
            let (absent, rows) = (self.absent.len(), self.rows.len());
            if absent == self.rows.iter().filter(|row| row.sample.image.is_some()).count() {
                return Err(self.no_picture(first));
            }
            self.notes.push(format!(
                "{}: {absent} of {rows} rows will be skipped: their picture is missing",
                self.path.display()
            ));
        }
        let mut samples: Vec<Sample> = self.rows.into_iter().map(|row| row.sample).collect();
        // Where pictures come with several texts each, the picture alone is the group: short texts
        // are often repeated there and would tie everything to everything.
        if samples.iter().all(|sample| sample.group.is_none()) {
            group_shared_content(&mut samples);
        }
        let (labels, notes, missing_pictures) = (self.labels, self.notes, self.absent.len());
        Ok(Split { name: self.name, path: self.path, samples, labels, notes, missing_pictures })
    }
}

/// The values of a row, before they are compared with anything else.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) image: Option<Named>,
    pub(crate) label: Option<String>,
    /// The picture's name, where a data set shows each of its pictures with several texts: such
    /// rows are grouped by it, and by nothing else.
    pub(crate) group: Option<String>,
}

/// The picture of a row.
#[derive(Debug)]
pub(crate) enum Named {
    /// By its path below the data root.
    Path(String),
    /// By the bytes that are in the row itself.
    Within(Packed),
}

impl From<String> for Named {
    fn from(path: String) -> Self {
        Self::Path(path)
    }
}

/// Classes that a wrong label is compared with, so that a column of ids taken for labels costs no
/// minutes.
const COMPARED: usize = 1000;

/// What is wrong with a field: its name, and the words for it.
pub(crate) type FieldError = (String, String);

/// How the labels of a file are written, and what they stand for.
#[derive(Debug)]
pub(crate) struct Labels {
    /// The class names, in order.
    pub(crate) names: Vec<String>,
    /// What the file writes for each class.
    pub(crate) codes: Vec<String>,
    /// What to do about any other label.
    pub(crate) remedy: &'static str,
}

impl Labels {
    /// The same in the order that was asked for, if any: of a set that knows its classes those.
    pub(crate) fn in_order_of(self, asked: Option<&[String]>) -> Result<Self, DataError> {
        let Some(asked) = asked else { return Ok(self) };
        let place = |name: &String| self.names.iter().position(|own| own == name);
        let order: Option<Vec<usize>> = asked.iter().map(place).collect();
        let distinct: HashSet<&String> = asked.iter().collect();
        let Some(order) =
            order.filter(|_| distinct.len() == asked.len() && asked.len() == self.names.len())
        else {
            return Err(DataError::Setting(format!(
                "the labels {} are not the classes of this data set; name with `--labels`, in the \
                 order that you want, {}, or leave it out",
                listed(asked.iter().map(String::as_str)),
                listed(self.names.iter().map(String::as_str))
            )));
        };
        let codes = order.iter().map(|&class| self.codes[class].clone()).collect();
        Ok(Self { names: asked.to_vec(), codes, remedy: self.remedy })
    }
}

/// Checks rows one after the other and keeps both the good ones and the problems.
pub(crate) struct Collector<'a> {
    request: &'a Request<'a>,
    path: PathBuf,
    labels: Labels,
    /// Each code's place.
    classes: HashMap<String, usize>,
    /// Pictures that several rows show, looked for once.
    pictures: HashMap<String, Result<ImageSource, (Kind, String)>>,
    lines_of_ids: HashMap<String, usize>,
    /// Whether a row names a picture, be it there or not.
    names_pictures: bool,
    row_number: usize,
    rows: Vec<Row>,
    problems: Vec<Problem>,
    absent: Vec<Problem>,
    missing: BTreeSet<String>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(request: &'a Request<'a>, path: &Path, labels: Labels) -> Self {
        let classes = labels.codes.iter().cloned().zip(0..).collect();
        Self {
            request,
            path: path.to_owned(),
            labels,
            classes,
            pictures: HashMap::new(),
            lines_of_ids: HashMap::new(),
            names_pictures: false,
            row_number: 0,
            rows: Vec::new(),
            problems: Vec::new(),
            absent: Vec::new(),
            missing: BTreeSet::new(),
            notes: Vec::new(),
        }
    }

    /// Takes in the next row of the file.
    pub(crate) fn add(
        &mut self,
        row: Result<RawRow, DataError>,
        read: impl FnOnce(&RawRow) -> Result<Fields, FieldError>,
    ) {
        let row = match row {
            Ok(row) => row,
            Err(error) => return self.add_fault(error),
        };
        self.row_number += 1;
        match read(&row) {
            Err((field, words)) => self.report(row.line, Kind::MalformedRow, &field, words),
            Ok(fields) => self.add_fields(row.line, fields),
        }
    }

    fn add_fields(&mut self, line: usize, fields: Fields) {
        let Some(id) = self.new_id(line, fields.id.clone()) else { return };
        let target = match fields.label.as_deref().map(|label| self.class_of(label)).transpose() {
            Ok(target) => target,
            Err(words) => return self.report(line, Kind::WrongLabel, "label", words),
        };
        self.keep(line, id, fields, target);
    }

    /// Takes in a question whose target is known.
    pub(crate) fn add_item(&mut self, line: usize, fields: Fields, target: Option<Target>) {
        self.row_number += 1;
        if let Err((field, words)) = plain("question", &fields.text) {
            return self.report(line, Kind::MalformedRow, &field, words);
        }
        if let Some(id) = self.new_id(line, fields.id.clone()) {
            self.keep(line, id, fields, target);
        }
    }

    /// Takes in a row that cannot be understood.
    pub(crate) fn add_fault(&mut self, error: DataError) {
        self.row_number += 1;
        let line = if let DataError::Row { line, .. } = &error { *line } else { 0 };
        self.problems.push(Problem { line, kind: Kind::MalformedRow, error });
    }

    /// The id of a row, unless it was used before.
    fn new_id(&mut self, line: usize, id: Option<String>) -> Option<String> {
        let id = id.unwrap_or_else(|| format!("{}:{}", self.request.split, self.row_number));
        if let Some(earlier) = self.lines_of_ids.get(&id) {
            let words = format!(
                "the id `{id}` is that of line {earlier} already; ids name predictions, so give \
                 each row its own"
            );
            self.report(line, Kind::DuplicateId, "id", words);
            return None;
        }
        self.lines_of_ids.insert(id.clone(), line);
        Some(id)
    }

    fn keep(&mut self, line: usize, id: String, fields: Fields, target: Option<Target>) {
        self.names_pictures |= fields.image.is_some();
        let shared = fields.group.is_some();
        let image = fields.image.map(|named| self.picture(line, &id, named, shared));
        match image.transpose() {
            Err((kind, words)) => self.report(line, kind, "image", words),
            Ok(image) => {
                let (text, group) = (fields.text, fields.group);
                let sample = Sample { id, text, image, target, group };
                self.rows.push(Row { line, sample });
            }
        }
    }

    /// The picture of a row, looked for once where it is `shared`. Where bad items may be skipped, one that
    /// is missing is so without an error: the row stays, and whoever needs its picture skips it, so that
    /// the split is the same one for models that are shown pictures and for those that are not.
    fn picture(
        &mut self,
        line: usize,
        id: &str,
        named: Named,
        shared: bool,
    ) -> Result<ImageSource, (Kind, String)> {
        let relative = match named {
            Named::Path(relative) => relative,
            Named::Within(packed) => return Ok(ImageSource::Packed(packed)),
        };
        let found = match self.pictures.get(&relative) {
            Some(found) => found.clone(),
            None => self.looked_for(&relative, shared),
        };
        let (kind, words) = match found {
            Ok(picture) => return Ok(picture),
            Err((kind, words)) => (kind, format!("{words} (id `{id}`)")),
        };
        let skip = self.request.options.on_bad_item == OnBadItem::Skip;
        if !skip || kind != Kind::MissingPicture {
            return Err((kind, words));
        }
        let error = DataError::row(&self.path, line, "image", words);
        self.absent.push(Problem { line, kind, error });
        self.request.place.picture(&relative, false)
    }

    fn looked_for(&mut self, relative: &str, shared: bool) -> Result<ImageSource, (Kind, String)> {
        let needed = self.request.options.arm.uses_image();
        let found = self.request.place.picture(relative, needed);
        if matches!(found, Err((Kind::MissingPicture, _))) {
            self.missing.insert(relative.to_owned());
        }
        if shared {
            self.pictures.insert(relative.to_owned(), found.clone());
        }
        found
    }

    /// Counts a row that the data set's own rules leave out.
    pub(crate) fn pass_over(&mut self) {
        self.row_number += 1;
    }

    fn class_of(&self, label: &str) -> Result<Target, String> {
        self.classes.get(label).copied().map(Target::Class).ok_or_else(|| {
            let codes = &self.labels.codes;
            let compared = codes.iter().map(String::as_str).take(COMPARED);
            let near = nearest(label, compared)
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            if codes.is_empty() {
                return format!(
                    "`label` is `{label}`, but no class is known; {}",
                    self.labels.remedy
                );
            }
            let known = listed(codes.iter().map(String::as_str).take(20));
            let more = codes.len().saturating_sub(20);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("`label` is `{label}`{near}; expected {known}{more}; {}", self.labels.remedy)
        })
    }

    pub(crate) fn report(&mut self, line: usize, kind: Kind, field: &str, words: String) {
        let error = DataError::row(&self.path, line, field, words);
        self.problems.push(Problem { line, kind, error });
    }
}
