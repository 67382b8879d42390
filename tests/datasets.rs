//! Every data set of the table `DATASETS`, on a small fixture in its own format: it reads, and each
//! way in which a copy can be broken is an error that names the file and the line.
//!
//! A new data set is covered by its row and a folder under `fixtures/datasets`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

use std::path::{Path, PathBuf};

use mmc_data::{DATASETS, DataError, Dataset, ReadOptions, Split, Task, decode};

#[test]
fn fixtures_read_and_splits_do_not_overlap() {
    for dataset in DATASETS {
        let splits = [dataset.train, dataset.selection, dataset.test]
            .map(|split| read(dataset, &fixture(dataset), split).unwrap());
        assert_eq!(splits[0].len(), 10, "{}: the train fixture has ten rows", dataset.name);
        for split in &splits {
            assert!(split.is_labelled(), "{}/{}", dataset.name, split.name);
            assert_eq!(split.labels, splits[0].labels);
            if dataset.task == Task::Classes {
                assert_eq!(split.class_counts().iter().sum::<usize>(), split.len());
            }
            for sample in &split.samples {
                let picture = decode(sample.image.as_ref().unwrap()).unwrap();
                assert_eq!(picture.dimensions(), (8, 6));
                assert!(!sample.text.is_empty());
            }
        }
        let ids: Vec<&str> = splits.iter().flat_map(Split::iter).map(|s| s.id.as_str()).collect();
        let unique: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{}: ids overlap", dataset.name);
    }
}

#[test]
fn study_splits_are_those_of_the_row() {
    for dataset in DATASETS {
        let splits = dataset.resolve_splits(&fixture(dataset)).unwrap();
        assert_eq!(
            [splits.train.as_str(), splits.selection.as_str(), splits.test.as_str()],
            [dataset.train, dataset.selection, dataset.test]
        );
        assert!(splits.notes.is_empty(), "{:?}", splits.notes);
    }
}

#[test]
fn broken_copies_are_named_with_file_and_line() {
    for dataset in DATASETS {
        let broken: &[(&str, Damage)] = &[
            ("a field is gone", |copy| copy.drop_text_from(3)),
            ("an id is repeated", |copy| copy.repeat_row(4)),
            ("a label is unknown", |copy| copy.replace_label(2)),
            ("the file is not UTF-8", |copy| copy.insert_byte_in(5)),
            ("a line is cut off", |copy| copy.cut_last_line()),
        ];
        for (what, damage) in broken {
            if dataset.task == Task::Answers && *what == "a label is unknown" {
                continue; // any answer may be given
            }
            let mut copy = Copy::of(dataset);
            damage(&mut copy);
            let error = copy.read().expect_err(what).to_string();
            assert!(error.contains(&copy.file_name()), "{what}: no file in `{error}`");
            assert!(names_a_line(&error, &copy.file_name()), "{what}: no line in `{error}`");
        }
    }
}

#[test]
fn missing_pictures_and_empty_files_are_named() {
    for dataset in DATASETS {
        let copy = Copy::of(dataset);
        let pictures = copy.root().join(copy.format.pictures);
        let picture = std::fs::read_dir(&pictures).unwrap().next().unwrap().unwrap();
        std::fs::remove_dir_all(&pictures).unwrap();
        let error = copy.read().expect_err("no pictures").to_string();
        let extension = picture.path().extension().unwrap().to_string_lossy().into_owned();
        assert!(error.contains(&format!(".{extension}")), "no picture named in `{error}`");

        let mut copy = Copy::of(dataset);
        copy.truncate();
        let error = copy.read().expect_err("an empty file").to_string();
        assert!(error.contains(&copy.file_name()), "{error}");

        let missing = copy.root().join("nowhere");
        let error = read(dataset, &missing, dataset.train).expect_err("no folder").to_string();
        assert!(error.contains("nowhere"), "{error}");
        assert!(error.len() > missing.display().to_string().len() + 20, "no remedy in `{error}`");
    }
}

#[test]
fn an_unknown_split_lists_the_known_ones() {
    for dataset in DATASETS {
        let error = read(dataset, &fixture(dataset), "tset").expect_err("unknown").to_string();
        assert!(dataset.splits.iter().all(|split| error.contains(split.name)), "{error}");
    }
}

/// A way to break a copy.
type Damage = fn(&mut Copy);

fn fixture(dataset: &Dataset) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/datasets").join(dataset.name)
}

fn read(dataset: &Dataset, root: &Path, split: &str) -> Result<Split, DataError> {
    dataset.read(root, split, &ReadOptions::default())
}

fn names_a_line(error: &str, file: &str) -> bool {
    error
        .split(&format!("{file}:"))
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// How a fixture is written, as far as it is broken on purpose.
struct Format {
    /// The folder of the training pictures.
    pictures: &'static str,
    /// The key of the text in JSON.
    text: &'static str,
    /// The labels in JSON and what is written in their place.
    labels: &'static [(&'static str, &'static str)],
}

fn format_of(dataset: &Dataset) -> Format {
    match dataset.name {
        "snli_ve" => Format {
            pictures: "flickr30k_images",
            text: "\"sentence2\"",
            labels: &[
                ("\"gold_label\": \"entailment\"", "\"gold_label\": \"7\""),
                ("\"gold_label\": \"neutral\"", "\"gold_label\": \"7\""),
                ("\"gold_label\": \"contradiction\"", "\"gold_label\": \"7\""),
            ],
        },
        "vqa_v2" => Format { pictures: "train2014", text: "\"question\"", labels: &[] },
        _ => Format {
            pictures: "img",
            text: "\"text\"",
            labels: &[("\"label\": 0", "\"label\": 7"), ("\"label\": 1", "\"label\": 7")],
        },
    }
}

/// A copy of a fixture in a scratch folder, whose train file is to be damaged.
struct Copy {
    folder: tempfile::TempDir,
    dataset: &'static Dataset,
    format: Format,
    file: PathBuf,
}

impl Copy {
    fn of(dataset: &'static Dataset) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&fixture(dataset), folder.path());
        let file = dataset.split_file(folder.path(), dataset.train).unwrap();
        let format = format_of(dataset);
        Self { folder, dataset, format, file }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn file_name(&self) -> String {
        self.file.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn read(&self) -> Result<Split, DataError> {
        read(self.dataset, self.root(), self.dataset.train)
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.file).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        std::fs::write(&self.file, lines.join("\n") + "\n").unwrap();
    }

    fn is_csv(&self) -> bool {
        self.file.extension().is_some_and(|extension| extension == "csv")
    }

    /// Renames the key `text` in JSON; drops a field of the row in CSV.
    fn drop_text_from(&mut self, line: usize) {
        let mut lines = self.lines();
        lines[line] = if self.is_csv() {
            lines[line].rsplit_once(',').unwrap().0.to_owned()
        } else {
            lines[line].replace(self.format.text, "\"txet\"")
        };
        self.write(&lines);
    }

    fn repeat_row(&mut self, line: usize) {
        let mut lines = self.lines();
        if self.dataset.task == Task::Answers {
            lines.insert(line, lines[line].clone()); // within the list
        } else {
            lines.push(lines[line].clone());
        }
        self.write(&lines);
    }

    fn replace_label(&mut self, line: usize) {
        let mut lines = self.lines();
        lines[line] = if self.is_csv() {
            format!("{},", lines[line].rsplit_once(',').unwrap().0) // an empty label among others
        } else {
            let replaced = |row: String, (label, by): &(&str, &str)| row.replace(label, by);
            self.format.labels.iter().fold(lines[line].clone(), replaced)
        };
        self.write(&lines);
    }

    fn insert_byte_in(&mut self, line: usize) {
        let text = self.lines();
        let mut bytes: Vec<u8> = Vec::new();
        for (number, row) in text.iter().enumerate() {
            let (head, tail) = row.split_at(row.len() / 2);
            bytes.extend(head.as_bytes());
            if number == line {
                bytes.push(0xff);
            }
            bytes.extend(tail.as_bytes());
            bytes.push(b'\n');
        }
        std::fs::write(&self.file, bytes).unwrap();
    }

    /// As an interrupted download leaves it: a few bytes into the last row.
    fn cut_last_line(&mut self) {
        let mut lines = self.lines();
        let mut last = lines.pop().unwrap();
        if last.len() < 8 {
            last = lines.pop().unwrap(); // what closes a list is no row
        }
        std::fs::write(&self.file, lines.join("\n") + "\n" + &last[..8]).unwrap();
    }

    fn truncate(&mut self) {
        std::fs::write(&self.file, "").unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
