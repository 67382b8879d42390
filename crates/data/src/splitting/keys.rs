//! What decides where a row goes: its class, its picture, its group.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::assign::Group;
use super::{SplitOptions, folder_of, unnamed};
use crate::groups::root_of;
use crate::picture::{bytes_of, length_of};
use crate::place::Place;
use crate::rows::{OpenTable, RawRow, Value, absent_column, open_rows};
use crate::source::Source;
use crate::values::name_of;
use crate::{DataError, ImageSource};

/// The rows of a table, as far as splitting it goes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The class names in the order of bytes; one without a name where there is no such column.
    pub(super) classes: Vec<String>,
    pub(super) class_of_row: Vec<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) group_of_row: Vec<usize>,
    /// Whether some picture is named by a path.
    pub(super) has_paths: bool,
    pub(super) notes: Vec<String>,
}

/// What a row says.
struct Row {
    class: String,
    group: Option<String>,
    picture: Option<Picture>,
}

enum Picture {
    /// Found.
    Source(ImageSource),
    /// Named by a path where nothing can be read.
    Unread(String),
}

impl Keys {
    pub(super) fn read(input: &Path, options: &SplitOptions) -> Result<Self, DataError> {
        let columns = Columns::of(options);
        let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
        let table = open_rows(&Source::file(input), &names)?;
        let place = Place::new(folder_of(input))?;
        let mut seen = table.present.clone();
        if input.extension().is_some_and(|end| end == "jsonl") {
            seen.fill(false); // each row has its own
        }
        let OpenTable { rows: raw, others, .. } = table;
        let (mut rows, mut others) = (Vec::new(), others);
        let mut known: HashSet<String> = others.iter().cloned().collect();
        for row in raw {
            let row = row?;
            for (seen, value) in seen.iter_mut().zip(&row.values) {
                *seen |= *value != Value::Absent;
            }
            for name in &row.others {
                if !known.contains(name) {
                    known.insert(name.clone());
                    others.push(name.clone());
                }
            }
            rows.push(
                columns
                    .row(&place, &row)
                    .map_err(|(field, words)| DataError::row(input, row.line, &field, words))?,
            );
        }
        if rows.is_empty() {
            let problem = "no row in this file; check that it was copied whole";
            return Err(DataError::file(input, problem));
        }
        columns.check(input, &seen, &others)?;
        let mut keys = Self::default();
        let stratified = columns.label.is_some_and(|label| seen[label]);
        if !stratified {
            keys.notes.push(
                "there is no column `label`, so no class is spread evenly; name one \
                             with `--stratify`"
                    .to_owned(),
            );
        }
        if !columns.images.iter().any(|&image| seen[image]) {
            keys.notes.extend(unnamed::note(input, &others));
        }
        keys.add_classes(&rows);
        if keys.classes.len() > 3 && keys.classes.len() * 3 > rows.len() {
            let (name, values) = (&columns.names[columns.label.unwrap_or(0)], keys.classes.len());
            let problem = format!(
                "`{name}` has {values} different values in {} rows, so it is no class to spread \
                 evenly; name another column with `--stratify`",
                rows.len()
            );
            return Err(DataError::file(input, problem));
        }
        keys.add_groups(&rows);
        Ok(keys)
    }

    /// Rows of each class.
    pub(super) fn class_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.classes.len()];
        for &class in &self.class_of_row {
            sizes[class] += 1;
        }
        sizes
    }

    fn add_classes(&mut self, rows: &[Row]) {
        let mut names: BTreeMap<&str, usize> =
            rows.iter().map(|row| (row.class.as_str(), 0)).collect();
        for (index, number) in names.values_mut().enumerate() {
            *number = index;
        }
        self.class_of_row = rows.iter().map(|row| names[row.class.as_str()]).collect();
        self.classes = names.into_keys().map(str::to_owned).collect();
    }

    fn add_groups(&mut self, rows: &[Row]) {
        let hashes = hashes(rows);
        let mut parents: Vec<usize> = (0..rows.len()).collect();
        let mut first_with: HashMap<Shared<'_>, usize> = HashMap::new();
        let (mut pictures, mut unread) = (0, 0);
        for (index, row) in rows.iter().enumerate() {
            let picture = row.picture.as_ref().map(|picture| {
                pictures += 1;
                match picture {
                    Picture::Unread(path) => {
                        unread += 1;
                        self.has_paths = true;
                        Shared::Name(path)
                    }
                    Picture::Source(source) => {
                        self.has_paths |= !source.key().to_string_lossy().contains('#');
                        hashes
                            .get(source.key())
                            .map_or(Shared::Path(source.key()), |hash| Shared::Content(*hash))
                    }
                }
            });
            let group = row.group.as_deref().map(Shared::Group);
            for key in picture.into_iter().chain(group) {
                let first = *first_with.entry(key).or_insert(index);
                let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, index));
                parents[a.max(b)] = a.min(b);
            }
        }
        if unread > 0 {
            self.notes.push(format!(
                "{unread} of {pictures} pictures cannot be read beside the table, so they are \
                 told apart by path alone"
            ));
        }
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let mut counts: Vec<BTreeMap<usize, usize>> = Vec::new();
        for (index, &class) in self.class_of_row.iter().enumerate() {
            let leader = root_of(&mut parents, index);
            let group = *numbers.entry(leader).or_insert_with(|| {
                counts.push(BTreeMap::new());
                counts.len() - 1
            });
            *counts[group].entry(class).or_default() += 1;
            self.group_of_row.push(group);
        }
        self.groups = counts
            .into_iter()
            .map(|counts| Group { counts: counts.into_iter().collect() })
            .collect();
    }
}

/// What rows may share.
#[derive(PartialEq, Eq, Hash)]
enum Shared<'a> {
    Group(&'a str),
    Name(&'a str),
    Path(&'a Path),
    Content([u8; 32]),
}

/// Hashes of the pictures that are as long as another: only those can be the same.
fn hashes(rows: &[Row]) -> BTreeMap<&Path, [u8; 32]> {
    let sources: BTreeMap<&Path, &ImageSource> = rows
        .iter()
        .filter_map(|row| match &row.picture {
            Some(Picture::Source(source)) => Some((source.key(), source)),
            _ => None,
        })
        .collect();
    let lengths: BTreeMap<&Path, u64> =
        sources.par_iter().filter_map(|(&key, source)| Some((key, length_of(source)?))).collect();
    let mut uses: BTreeMap<u64, usize> = BTreeMap::new();
    for length in lengths.values() {
        *uses.entry(*length).or_default() += 1;
    }
    lengths
        .par_iter()
        .filter(|(_, length)| uses.get(length).is_some_and(|uses| *uses > 1))
        .filter_map(|(&key, _)| {
            Some((key, Sha256::digest(bytes_of(sources.get(key)?).ok()?.as_slice()).into()))
        })
        .collect()
}

/// The columns that are looked at, each once, and which is which.
struct Columns {
    names: Vec<String>,
    label: Option<usize>,
    group: Option<usize>,
    images: Vec<usize>,
    /// Places of those that a flag names, and the flag.
    given: Vec<(usize, &'static str)>,
}

impl Columns {
    fn of(options: &SplitOptions) -> Self {
        let mut columns = Self {
            names: Vec::new(),
            label: None,
            group: None,
            images: Vec::new(),
            given: Vec::new(),
        };
        let label = columns.add(options.stratify.as_deref(), "label", "--stratify");
        columns.label = Some(label);
        if let Some(group) = &options.group {
            columns.group = Some(columns.add(Some(group), "", "--group"));
        }
        let image = columns.add(options.image.as_deref(), "image", "--image-column");
        columns.images.push(image);
        if options.image.is_none() {
            let other = columns.add(None, "img", "");
            columns.images.push(other);
        }
        columns
    }

    fn add(&mut self, given: Option<&str>, usual: &str, flag: &'static str) -> usize {
        let name = given.unwrap_or(usual);
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        if given.is_some() {
            self.given.push((place, flag));
        }
        place
    }

    /// Refuses a name that is in no row.
    fn check(&self, input: &Path, seen: &[bool], others: &[String]) -> Result<(), DataError> {
        for &(place, flag) in &self.given {
            if !seen[place] {
                let name = &self.names[place];
                let problem = absent_column(name, others, flag);
                return Err(DataError::row(input, 1, name, problem));
            }
        }
        Ok(())
    }

    fn row(&self, place: &Place, row: &RawRow) -> Result<Row, (String, String)> {
        let name = |column: usize| name_of(&self.names[column], &row.values[column]);
        let class = self.label.map(name).transpose()?.flatten().unwrap_or_default();
        let group = self.group.map(name).transpose()?.flatten();
        let mut picture = None;
        for &column in &self.images {
            picture = match &row.values[column] {
                Value::Bytes(packed) => Some(Picture::Source(ImageSource::Packed(packed.clone()))),
                _ => name(column)?.map(|path| match place.picture(&path, true) {
                    Ok(source) => Picture::Source(source),
                    Err(_) => Picture::Unread(path),
                }),
            };
            if picture.is_some() {
                break;
            }
        }
        Ok(Row { class, group, picture })
    }
}
