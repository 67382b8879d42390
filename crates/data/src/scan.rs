//! Rows that have been read, and all that was found wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::Request;
use crate::error::{listed, nearest};
use crate::place::Place;
use crate::rows::{RawRow, Value};
use crate::{DataError, OnBadItem, ReadOptions, Sample, Split, SplitName, Target};

/// What a reader finds in one file: usable rows and problems, nothing lost.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) name: SplitName,
    pub(crate) path: PathBuf,
    pub(crate) labels: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// In the order of the file.
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<String>,
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
    /// The split, if nothing is wrong that may not be skipped.
    pub(crate) fn into_split(mut self, options: &ReadOptions) -> Result<Split, DataError> {
        let skip = options.on_bad_item == OnBadItem::Skip;
        let mut skipped = 0;
        for problem in self.problems {
            if skip && problem.kind == Kind::MissingPicture {
                skipped += 1;
            } else {
                return Err(problem.error);
            }
        }
        if skipped > 0 {
            self.notes.push(format!(
                "{}: {skipped} of {} rows skipped: their picture is missing",
                self.path.display(),
                skipped + self.rows.len()
            ));
        }
        if self.rows.is_empty() {
            return Err(DataError::file(
                &self.path,
                "no usable row in this file; check that it was copied whole",
            ));
        }
        let mut samples: Vec<Sample> = self.rows.into_iter().map(|row| row.sample).collect();
        group_shared_content(&mut samples);
        let (labels, notes) = (self.labels, self.notes);
        Ok(Split { name: self.name, path: self.path, samples, labels, notes, skipped })
    }
}

/// The values of a row, before they are compared with anything else.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) image: Option<String>,
    pub(crate) label: Option<String>,
}

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

/// Checks rows one after the other and keeps both the good ones and the problems.
pub(crate) struct Collector<'a> {
    request: &'a Request<'a>,
    path: PathBuf,
    place: Place,
    labels: Labels,
    lines_of_ids: BTreeMap<String, usize>,
    row_number: usize,
    rows: Vec<Row>,
    problems: Vec<Problem>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        request: &'a Request<'a>,
        path: &Path,
        labels: Labels,
    ) -> Result<Self, DataError> {
        Ok(Self {
            request,
            path: path.to_owned(),
            place: Place::new(request.root)?,
            labels,
            lines_of_ids: BTreeMap::new(),
            row_number: 0,
            rows: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Takes in the next row of the file.
    pub(crate) fn add(
        &mut self,
        row: Result<RawRow, DataError>,
        read: impl FnOnce(&RawRow) -> Result<Fields, FieldError>,
    ) {
        self.row_number += 1;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = if let DataError::Row { line, .. } = &error { *line } else { 0 };
                self.problems.push(Problem { line, kind: Kind::MalformedRow, error });
                return;
            }
        };
        match read(&row) {
            Err((field, words)) => self.report(row.line, Kind::MalformedRow, &field, words),
            Ok(fields) => self.add_fields(row.line, fields),
        }
    }

    fn add_fields(&mut self, line: usize, fields: Fields) {
        let id = fields.id.unwrap_or_else(|| format!("{}:{}", self.request.split, self.row_number));
        if let Some(earlier) = self.lines_of_ids.get(&id) {
            let words = format!(
                "the id `{id}` is that of line {earlier} already; ids name predictions, so give \
                 each row its own"
            );
            return self.report(line, Kind::DuplicateId, "id", words);
        }
        self.lines_of_ids.insert(id.clone(), line);
        let target = match fields.label.map(|label| self.class_of(&label)).transpose() {
            Ok(target) => target,
            Err(words) => return self.report(line, Kind::WrongLabel, "label", words),
        };
        let needed = self.request.options.arm.uses_image();
        let image = fields.image.map(|relative| self.place.picture(&relative, needed));
        match image.transpose() {
            Err((kind, words)) => {
                self.report(line, kind, "image", format!("{words} (id `{id}`)"));
            }
            Ok(image) => {
                let sample = Sample { id, text: fields.text, image, target, group: None };
                self.rows.push(Row { line, sample });
            }
        }
    }

    fn class_of(&self, label: &str) -> Result<Target, String> {
        let codes = &self.labels.codes;
        codes.iter().position(|code| code == label).map(Target::Class).ok_or_else(|| {
            let near = nearest(label, codes.iter().map(String::as_str))
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            let known = listed(codes.iter().map(String::as_str).take(20));
            let more = codes.len().saturating_sub(20);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("`label` is `{label}`{near}; expected {known}{more}; {}", self.labels.remedy)
        })
    }

    fn report(&mut self, line: usize, kind: Kind, field: &str, words: String) {
        let error = DataError::row(&self.path, line, field, words);
        self.problems.push(Problem { line, kind, error });
    }

    /// All that was found. Where only some rows have a label, the others are problems.
    pub(crate) fn finish(mut self) -> Result<Scan, DataError> {
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
        self.problems.sort_by_key(|problem| problem.line);
        Ok(Scan {
            name: self.request.dataset.split_name(self.request.split)?,
            path: self.path,
            labels: self.labels.names,
            rows: self.rows,
            problems: self.problems,
            notes: self.notes,
        })
    }
}

/// A text, which may be empty.
pub(crate) fn text_of(field: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value {
        Value::Absent => Ok(None),
        Value::Text(text) => Ok(Some(text.clone())),
        Value::Bare(bare) => {
            Err((field.to_owned(), format!("`{field}` is `{bare}`, expected a string in quotes")))
        }
        Value::Nested => Err((
            field.to_owned(),
            format!("`{field}` is a list or an object, expected a string in quotes"),
        )),
    }
}

/// Refuses a line break where only an open quote can have put it.
pub(crate) fn check_one_line(field: &str, value: &Value) -> Result<(), FieldError> {
    match value {
        Value::Text(text) if text.contains('\n') => Err((
            field.to_owned(),
            format!("`{field}` has a line break; if a quote was opened before it, close it"),
        )),
        _ => Ok(()),
    }
}

/// An id or a label: a string or a number, as the file writes it; `None` where empty.
pub(crate) fn name_of(field: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value {
        Value::Absent => Ok(None),
        Value::Text(text) | Value::Bare(text) => Ok((!text.is_empty()).then(|| text.clone())),
        Value::Nested => Err((
            field.to_owned(),
            format!("`{field}` is a list or an object, expected a string or a whole number"),
        )),
    }
}

/// Puts samples that share a picture (by path) or word for word a text into one group, named by
/// its first id. Such items are not independent, and intervals have to know. Sharing is
/// transitive; an empty text is no content; a sample that shares nothing has no group.
pub(crate) fn group_shared_content(samples: &mut [Sample]) {
    let mut parents: Vec<usize> = (0..samples.len()).collect();
    let mut first_with: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        for key in contents_of(sample) {
            let first = *first_with.entry(key).or_insert(index);
            let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, index));
            // The smaller index leads, so that a group is named by its first row.
            parents[a.max(b)] = a.min(b);
        }
    }
    let leaders: Vec<usize> = (0..samples.len()).map(|at| root_of(&mut parents, at)).collect();
    let mut sizes = vec![0_usize; samples.len()];
    for &leader in &leaders {
        sizes[leader] += 1;
    }
    let names: Vec<Option<String>> = leaders
        .iter()
        .map(|&leader| (sizes[leader] > 1).then(|| samples[leader].id.clone()))
        .collect();
    for (sample, name) in samples.iter_mut().zip(names) {
        sample.group = name;
    }
}

/// What a sample may share with another: its picture's path (`true`), its text (`false`).
pub(crate) fn contents_of(sample: &Sample) -> impl Iterator<Item = (bool, String)> {
    let text = sample.text.trim();
    let picture = sample.image.as_ref().map(|image| (true, image.to_string()));
    let content = (!text.is_empty()).then(|| (false, text.to_owned()));
    picture.into_iter().chain(content)
}

/// The leader of the group of `at`, with the path to it shortened.
pub(crate) fn root_of(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ImageSource;

    fn sample(id: usize, text: &str, picture: &str) -> Sample {
        let image = (!picture.is_empty()).then(|| ImageSource::File(picture.into()));
        Sample { id: id.to_string(), text: text.to_owned(), image, target: None, group: None }
    }

    fn groups(contents: &[(&str, &str)]) -> Vec<Option<String>> {
        let mut samples: Vec<Sample> = contents
            .iter()
            .enumerate()
            .map(|(id, (text, picture))| sample(id, text, picture))
            .collect();
        group_shared_content(&mut samples);
        samples.into_iter().map(|sample| sample.group).collect()
    }

    #[test]
    fn shared_content_makes_a_group_and_sharing_is_transitive() {
        let found =
            groups(&[("a", "1"), ("b", "2"), ("c", "2"), ("c", "3"), ("d", "4"), ("a ", "5")]);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(found, [some("0"), some("1"), some("1"), some("1"), None, some("0")]);
    }

    #[test]
    fn what_is_absent_is_not_shared() {
        assert_eq!(groups(&[("", "1"), ("", "2"), (" ", ""), ("", "")]), [None, None, None, None]);
        // A text that reads like a path is no picture.
        assert_eq!(groups(&[("x", "y"), ("y", "x")]), [None, None]);
    }

    proptest! {
        /// Two rows are in one group if and only if a chain of shared contents joins them.
        #[test]
        fn groups_are_the_connected_parts(pairs in proptest::collection::vec((0..6_u8, 0..6_u8), 1..12)) {
            let names: Vec<(String, String)> =
                pairs.iter().map(|(text, picture)| (format!("t{text}"), format!("p{picture}"))).collect();
            let contents: Vec<(&str, &str)> =
                names.iter().map(|(text, picture)| (text.as_str(), picture.as_str())).collect();
            let found = groups(&contents);
            let rows = pairs.len();
            let touches = |a: usize, b: usize| pairs[a].0 == pairs[b].0 || pairs[a].1 == pairs[b].1;
            // Reachability by repeated widening.
            let mut joined: Vec<Vec<bool>> =
                (0..rows).map(|a| (0..rows).map(|b| touches(a, b)).collect()).collect();
            for middle in 0..rows {
                for a in 0..rows {
                    for b in 0..rows {
                        joined[a][b] |= joined[a][middle] && joined[middle][b];
                    }
                }
            }
            for a in 0..rows {
                let alone = joined[a].iter().filter(|joined| **joined).count() == 1;
                prop_assert_eq!(found[a].is_none(), alone);
                for b in (0..rows).filter(|b| *b != a) {
                    prop_assert_eq!(found[a].is_some() && found[a] == found[b], joined[a][b]);
                }
            }
        }
    }
}
