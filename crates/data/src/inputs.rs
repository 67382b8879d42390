//! Rows to predict or embed: no data set, no labels.

mod groups;

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use self::groups::{Contents, Groups};
use crate::columns::{Columns, InputColumns};
use crate::place::Place;
use crate::rows::{OpenTable, Value};
use crate::scan::{Fields, Named};
use crate::source::Source;
use crate::{Arm, DataError, ImageSource, Sample};

/// A file of rows to predict or embed, found to be right and read anew whenever its samples are
/// asked for, so that memory hardly grows with it: while the file is checked a row takes three hashes
/// of 8 bytes (of its id, text and picture), and afterwards two numbers if it shares its text or
/// picture with another and nothing if not.
#[derive(Debug)]
pub struct Inputs {
    file: PathBuf,
    place: Place,
    arm: Arm,
    columns: Columns<'static>,
    rows: usize,
    first_bare: Option<String>,
    groups: Groups,
}

impl Inputs {
    /// Checks a CSV, JSONL or Parquet file with the columns `id` (optional), `text` and `image` (optional;
    /// `img` where there is no `image`, as in Hateful Memes). What `arm` does not show may be
    /// absent: the column of texts, the files of pictures. Pictures are relative to `image_root`;
    /// an absent id is `input:ROW`, with rows counted from 1. Other columns are passed over.
    ///
    /// # Errors
    ///
    /// The first thing wrong, with file and line: see [`DataError`].
    pub fn open(file: &Path, image_root: &Path, arm: Arm) -> Result<Self, DataError> {
        Self::open_columns(file, image_root, arm, InputColumns::default())
    }

    /// [`Inputs::open`] of a file with other columns.
    ///
    /// # Errors
    ///
    /// As [`Inputs::open`], and a column that is named twice.
    pub fn open_columns(
        file: &Path,
        image_root: &Path,
        arm: Arm,
        names: InputColumns,
    ) -> Result<Self, DataError> {
        let mut columns = Columns::of_inputs(names.clone(), arm.uses_text())?;
        if names.image.is_none() && has_only_img(columns.open(&Source::file(file))?) {
            let names = InputColumns { image: Some("img".to_owned()), ..names };
            columns = Columns::of_inputs(names, arm.uses_text())?;
        }
        let place = Place::new(image_root)?;
        let (file, groups) = (file.to_owned(), Groups::default());
        let mut inputs = Self { file, place, arm, columns, rows: 0, first_bare: None, groups };
        let repeated = inputs.check()?;
        if inputs.rows == 0 {
            let problem = "no row in this file; check that it was copied whole";
            return Err(DataError::file(&inputs.file, problem));
        }
        if !repeated.is_empty() {
            inputs.groups = Groups::of(inputs.samples()?, &repeated)?;
        }
        Ok(inputs)
    }

    /// Looks at every row; returns the hashes of contents that occur more than once.
    fn check(&mut self) -> Result<Vec<u64>, DataError> {
        let (mut ids, mut contents) = (HashSet::new(), Contents::default());
        for (index, row) in self.columns.open(&Source::file(&self.file))?.rows.enumerate() {
            let row = self.fields(index, row)?;
            if !ids.insert(hash(&row.id))
                && let Some(earlier) = self.line_of(&row.id, index)?
            {
                let id = row.id;
                let words = format!("the id `{id}` is that of line {earlier} already; change one");
                return Err(DataError::row(&self.file, row.line, "id", words));
            }
            let sample = self.sample(row)?;
            contents.add(&sample);
            if sample.image.is_none() && self.first_bare.is_none() {
                self.first_bare = Some(sample.id);
            }
            self.rows = index + 1;
        }
        Ok(contents.repeated())
    }

    /// The line of this id among the first rows, for two ids can have one hash.
    fn line_of(&self, id: &str, rows: usize) -> Result<Option<usize>, DataError> {
        for (index, row) in
            self.columns.open(&Source::file(&self.file))?.rows.take(rows).enumerate()
        {
            let row = self.fields(index, row)?;
            if row.id == id {
                return Ok(Some(row.line));
            }
        }
        Ok(None)
    }

    fn fields(
        &self,
        index: usize,
        row: Result<crate::rows::RawRow, DataError>,
    ) -> Result<Row, DataError> {
        let row = row?;
        let Fields { id, text, image, .. } = self
            .columns
            .fields(&row)
            .map_err(|(field, words)| DataError::row(&self.file, row.line, &field, words))?;
        let id = id.unwrap_or_else(|| format!("input:{}", index + 1));
        Ok(Row { line: row.line, id, text, image })
    }

    fn sample(&self, row: Row) -> Result<Sample, DataError> {
        let Row { line, id, text, image } = row;
        let image = image
            .map(|named| match named {
                Named::Path(relative) => self.place.picture(&relative, self.arm.uses_image()),
                Named::Within(packed) => Ok(ImageSource::Packed(packed)),
            })
            .transpose()
            .map_err(|(_, words)| {
                DataError::row(&self.file, line, "image", format!("{words} (id `{id}`)"))
            })?;
        Ok(Sample { id, text, image, target: None, group: None })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// How many rows there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a file without rows is refused")]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The id of the first row without a picture, where there is one.
    #[must_use]
    pub fn first_without_picture(&self) -> Option<&str> {
        self.first_bare.as_deref()
    }

    /// Reads the rows again, one at a time, in the order of the file.
    ///
    /// # Errors
    ///
    /// As [`Inputs::open`], here and with each row: the file or a picture may have changed since.
    pub fn samples(&self) -> Result<Samples<'_>, DataError> {
        let rows = self.columns.open(&Source::file(&self.file))?;
        Ok(Samples { inputs: self, rows, at: 0, names: BTreeMap::new(), ended: false })
    }
}

/// What a row says, before its picture is looked for.
struct Row {
    line: usize,
    id: String,
    text: String,
    image: Option<Named>,
}

/// The rows of [`Inputs`], one at a time; as many as there were when they were checked, or an
/// error.
pub struct Samples<'a> {
    inputs: &'a Inputs,
    rows: OpenTable,
    at: usize,
    /// Names of groups whose first row has been passed.
    names: BTreeMap<usize, String>,
    ended: bool,
}

impl Iterator for Samples<'_> {
    type Item = Result<Sample, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let Some(row) = self.rows.rows.next() else {
            self.ended = true;
            let (before, now) = (self.inputs.rows, self.at);
            let problem = format!("had {before} rows and has {now} now; leave it as it is");
            return (before != now).then(|| Err(DataError::file(&self.inputs.file, problem)));
        };
        let sample = self.inputs.fields(self.at, row).and_then(|row| self.inputs.sample(row));
        self.ended = sample.is_err();
        let leader = self.inputs.groups.leader(self.at);
        self.at += 1;
        Some(sample.map(|sample| {
            let names = &mut self.names;
            let group = leader.map(|row| names.entry(row).or_insert_with(|| sample.id.clone()));
            let group = group.cloned();
            Sample { group, ..sample }
        }))
    }
}

/// The samples of [`Inputs`], all at once: for files that are known to be small.
///
/// # Errors
///
/// As [`Inputs::open`].
pub fn read_inputs(file: &Path, image_root: &Path, arm: Arm) -> Result<Vec<Sample>, DataError> {
    Inputs::open(file, image_root, arm)?.samples()?.collect()
}

/// Whether pictures are in `img`: no row has an `image`, and one has that.
fn has_only_img(table: OpenTable) -> bool {
    let img = "img".to_owned();
    let mut found = table.others.contains(&img);
    if !table.present[IMAGE] {
        return found;
    }
    // Each row of JSONL has its own fields; what is wrong with one is said when it is read.
    for row in table.rows.flatten() {
        if row.values.get(IMAGE) != Some(&Value::Absent) {
            return false;
        }
        found |= row.others.contains(&img);
    }
    found
}

/// The place of pictures among the wanted columns.
const IMAGE: usize = 2;

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    fn message(folder: &Folder, name: &str) -> String {
        let error = read_inputs(&folder.path().join(name), folder.path(), Arm::Both).unwrap_err();
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn inputs_are_read_without_labels() {
        let folder = Folder::with(&[
            ("in.csv", "image,text,label\na.png,one,ignored\n,two,\n"),
            ("in.jsonl", "{\"text\":\"one\",\"image\":\"a.png\"}\n{\"text\":\"two\"}\n"),
        ]);
        folder.picture("a.png", 1);
        let read = |name: &str| read_inputs(&folder.path().join(name), folder.path(), Arm::Both);
        let (csv, jsonl) = (read("in.csv").unwrap(), read("in.jsonl").unwrap());
        assert_eq!(csv, jsonl);
        let ids: Vec<&str> = csv.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["input:1", "input:2"]);
        assert!(csv[0].image.is_some() && csv[1].image.is_none());
        assert!(csv.iter().all(|sample| sample.target.is_none()));
    }

    #[test]
    fn pictures_may_be_named_as_in_hateful_memes() {
        let folder = Folder::with(&[
            ("in.csv", "id,img,text\n1,a.png,one\n"),
            ("in.jsonl", "{\"id\":1,\"img\":\"a.png\",\"text\":\"one\"}\n"),
        ]);
        folder.picture("a.png", 1);
        for name in ["in.csv", "in.jsonl"] {
            let found = read_inputs(&folder.path().join(name), folder.path(), Arm::Both).unwrap();
            assert!(found[0].image.is_some(), "{name}");
        }
    }

    #[test]
    fn columns_may_have_other_names() {
        let folder = Folder::with(&[("in.csv", "key,foto,texto\n7,a.png,uno\n")]);
        folder.picture("a.png", 1);
        let (file, root) = (folder.path().join("in.csv"), folder.path());
        let named = |id: &str, text: &str, image: &str| {
            let [id, text, image] = [id, text, image].map(|name| Some(name.to_owned()));
            let names = InputColumns { id, text, image };
            Inputs::open_columns(&file, root, Arm::Both, names)?
                .samples()?
                .collect::<Result<Vec<_>, _>>()
        };
        let found: Vec<Sample> = named("key", "texto", "foto").unwrap();
        assert_eq!((found[0].id.as_str(), found[0].text.as_str()), ("7", "uno"));
        assert!(found[0].image.is_some());
        for (id, text, image, words) in [
            ("key", "text", "foto", "did you mean `texto`? Then give `--text-column texto`"),
            ("key", "texto", "fotos", "did you mean `foto`? Then give `--image-column foto`"),
            (
                "key",
                "texto",
                "key",
                "`--id-column` and `--image-column` both name the column `key`",
            ),
        ] {
            let found: Result<Vec<Sample>, DataError> = named(id, text, image);
            let problem = found.unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn what_a_model_is_not_shown_may_be_absent() {
        let folder =
            Folder::with(&[("in.csv", "id,image\n1,a.png\n"), ("t.csv", "text,image\nx,b.png\n")]);
        folder.picture("a.png", 1);
        let read = |name: &str, arm| read_inputs(&folder.path().join(name), folder.path(), arm);
        assert_eq!(read("in.csv", Arm::Image).unwrap()[0].text, "");
        assert!(read("in.csv", Arm::Both).is_err());
        assert_eq!(read("t.csv", Arm::Text).unwrap()[0].text, "x");
        assert!(read("t.csv", Arm::Both).is_err());
    }

    #[test]
    fn bad_inputs_are_named() {
        let folder = Folder::with(&[
            ("twice.csv", "id,text\n1,a\n1,b\n"),
            ("gone.csv", "id,text,image\n1,a,gone.png\n"),
            ("out.csv", "id,text,image\n1,a,../x.png\n"),
            ("none.csv", "id,text\n"),
            ("break.csv", "text,id\na,\"1\nb,\"\n"),
            ("rows.txt", "id,text\n1,a\n"),
            ("header.csv", "id,image\n1,a.png\n"),
            ("txet.csv", "id,txet\n1,a\n"),
        ]);
        assert_eq!(
            message(&folder, "twice.csv"),
            "twice.csv:3: the id `1` is that of line 2 already; change one"
        );
        for (name, part) in [
            ("gone.csv", "gone.csv:2: the picture `gone.png` is missing"),
            ("out.csv", "out.csv:2: the picture `../x.png` has `..` in its path"),
            ("none.csv", "none.csv: no row in this file"),
            ("break.csv", "break.csv:2: `id` has a line break"),
            ("rows.txt", "rows.txt: expected a file that ends in `.csv`, `.jsonl` or `.parquet`"),
            (
                "header.csv",
                "header.csv:1: no column `text`, and none that could be meant for it; add it",
            ),
            (
                "txet.csv",
                "txet.csv:1: no column `text`; the others are `txet`; did you mean `txet`? Then give `--text-column txet`",
            ),
            ("absent.csv", "absent.csv: No such file"),
        ] {
            assert!(message(&folder, name).starts_with(part), "{}", message(&folder, name));
        }
    }
}
