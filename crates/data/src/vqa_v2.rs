//! VQA v2 (Goyal et al., 2017): questions and annotations, one JSON object each, on COCO pictures.
//!
//! The answers of `test` and `test-dev` are known to the evaluation server alone. A tenth of the
//! training pictures, always the same, is `held_out` from training to choose the best epoch on, so
//! that `val` stays a test set.

mod notes;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::notes::{held_out_note, orphans_note, size_note};
use crate::answers::{Answers, Counts, Coverage, Lookup};
use crate::dataset::{AnswerSource, Request};
use crate::json_list::{Element, JsonList};
use crate::place::Place;
use crate::scan::{Collector, Fields, Kind, Labels, Scan};
use crate::source::Source;
use crate::values::plain;
use crate::{DataError, Target, demo};

/// Where the parts of a split lie: names of files, and of the archives that they are published in.
struct Files {
    questions: Published,
    /// `None`: nobody but the server knows them.
    annotations: Option<Published>,
    pictures: &'static str,
    /// Questions in the published file.
    published: usize,
}

/// A file, and the archive that it is published in.
type Published = [&'static str; 2];

const TRAIN: Files = Files {
    questions: ["v2_OpenEnded_mscoco_train2014_questions.json", "v2_Questions_Train_mscoco.zip"],
    annotations: Some(["v2_mscoco_train2014_annotations.json", "v2_Annotations_Train_mscoco.zip"]),
    pictures: "train2014",
    published: 443_757,
};
const VAL: Files = Files {
    questions: ["v2_OpenEnded_mscoco_val2014_questions.json", "v2_Questions_Val_mscoco.zip"],
    annotations: Some(["v2_mscoco_val2014_annotations.json", "v2_Annotations_Val_mscoco.zip"]),
    pictures: "val2014",
    published: 214_354,
};
const TEST: Files = Files {
    questions: ["v2_OpenEnded_mscoco_test2015_questions.json", "v2_Questions_Test_mscoco.zip"],
    annotations: None,
    pictures: "test2015",
    published: 447_793,
};
const TEST_DEV: Files = Files {
    questions: ["v2_OpenEnded_mscoco_test-dev2015_questions.json", "v2_Questions_Test_mscoco.zip"],
    published: 107_394,
    ..TEST
};

/// The split of the training pictures that is not trained on.
const HELD_OUT: &str = "held_out";

fn files_of(split: &str) -> &'static Files {
    match split {
        "val" => &VAL,
        "test" => &TEST,
        "test-dev" => &TEST_DEV,
        _ => &TRAIN,
    }
}

/// Whether a training picture is held out: a tenth of them, by a hash of their number, whatever
/// else is in the files.
pub(crate) fn is_held_out(image_id: u64) -> bool {
    let digest = Sha256::digest(format!("vqa_v2 held_out {image_id}"));
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]).is_multiple_of(10)
}

/// The file of a split: that of its questions.
pub(crate) fn locate(place: &Place, split: &str) -> Result<Source, DataError> {
    let [name, archive] = files_of(split).questions;
    let absent = || {
        let problem = format!(
            "the split `{split}` has no file; put it, or `{archive}`, there as it was published"
        );
        DataError::file(&place.root().join(name), problem)
    };
    place.file(name, Some(archive))?.ok_or_else(absent)
}

/// The file of annotations, where there is one.
fn annotations_of(place: &Place, files: &Files) -> Result<Option<Source>, DataError> {
    match files.annotations {
        Some([name, archive]) => place.file(name, Some(archive)),
        None => Ok(None),
    }
}

/// What is said where the annotations of a split that has them are not there.
fn unanswered(place: &Place, split: &str, files: &Files) -> Option<String> {
    files.annotations.map(|[name, archive]| {
        format!(
            "`{split}` is read without answers: {} is not there; put it, or `{archive}`, there as it was \
             published",
            place.root().join(name).display()
        )
    })
}

fn no_annotations(place: &Place, files: &Files) -> DataError {
    let [name, archive] = files.annotations.unwrap_or_default();
    let problem = format!(
        "not there, and the answer vocabulary is made from it; put it, or `{archive}`, there as it was published"
    );
    DataError::file(&place.root().join(name), problem)
}

#[derive(Deserialize)]
struct Asked<'a> {
    image_id: u64,
    #[serde(borrow)]
    question: Cow<'a, str>,
    question_id: u64,
}

#[derive(Deserialize)]
struct Annotation<'a> {
    question_id: u64,
    image_id: u64,
    #[serde(borrow)]
    question_type: Cow<'a, str>,
    #[serde(borrow)]
    answer_type: Cow<'a, str>,
    #[serde(borrow)]
    multiple_choice_answer: Cow<'a, str>,
    #[serde(borrow)]
    answers: Vec<Given<'a>>,
}

#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow)]
    answer: Cow<'a, str>,
}

/// Reads one split.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let (place, files) = (request.place, files_of(request.split));
    let source = locate(place, request.split)?;
    let path = source.path();
    let annotations = annotations_of(place, files)?;
    if request.split == "train" && annotations.is_none() {
        return Err(no_annotations(place, files));
    }
    let vocabulary = vocabulary(request, annotations.is_some())?;
    let labels = Labels { names: vocabulary, codes: Vec::new(), remedy: "" };
    let (mut lookup, known) = (Lookup::new(&labels.names), labels.names.len());
    let mut collector = Collector::new(request, path, labels);
    let generated = demo::note(place)?;
    let is_generated = generated.is_some();
    collector.notes.extend(generated);
    let mut answers = if let Some(source) = &annotations {
        Some(read_answers(source, request.split, &mut lookup)?)
    } else {
        collector.notes.extend(unanswered(place, request.split, files));
        None
    };
    let pictures = Pictures::of(place, files);
    collector.notes.extend(pictures.note());
    let list = JsonList::read(&source, "questions")?;
    let (mut questions, mut left_out) = (0_usize, 0_usize);
    list.for_each(|question: Element<Asked<'_>>| {
        questions += 1;
        let (line, question) = match question {
            Ok(question) => question,
            Err(error) => return collector.add_fault(error),
        };
        if !is_of(request.split, question.image_id) {
            left_out += 1;
            return;
        }
        let id = question.question_id;
        let target = match answers.as_mut().map(|answers| answers.remove(&id)) {
            None => None,
            Some(Some((image, answers))) if image == question.image_id => {
                Some(Target::Answers(Arc::new(answers)))
            }
            Some(found) => {
                let words = match found {
                    Some((image, _)) => format!(
                        "the question `{id}` is about picture {}, and its annotation about {image}; \
                         the two files do not belong together",
                        question.image_id
                    ),
                    None => format!(
                        "the question `{id}` has no annotation of its own; the two files do not \
                         belong together, or the id is used twice"
                    ),
                };
                return collector.report(line, Kind::WrongLabel, "question_id", words);
            }
        };
        let fields = Fields {
            id: Some(id.to_string()),
            text: question.question.into_owned(),
            image: Some(pictures.path(question.image_id).into()),
            label: None,
            group: Some(question.image_id.to_string()),
        };
        collector.add_item(line, fields, target);
    })?;
    let left = annotations.as_ref().zip(answers.as_ref());
    collector.notes.extend(left.and_then(|(source, left)| orphans_note(source.path(), left)));
    if !is_generated {
        collector.notes.extend(size_note(path, questions, files));
    }
    collector.notes.extend(held_out_note(request.split, left_out, questions));
    let mut scan = collector.finish()?;
    let targets = scan.rows.iter().map(|row| row.sample.target.as_ref());
    let coverage = Coverage::of(targets).filter(|found| found.ceiling < 1.0);
    scan.notes.extend(coverage.map(|found| found.note(request.split, known)));
    Ok(scan)
}

/// Whether a picture of a split's file belongs to the split.
fn is_of(split: &str, image_id: u64) -> bool {
    match split {
        "train" => !is_held_out(image_id),
        HELD_OUT => is_held_out(image_id),
        _ => true,
    }
}

/// The answers that can be given: those asked for (a checkpoint's), else those of the training file.
/// A split without answers can be read without any.
fn vocabulary(request: &Request<'_>, annotated: bool) -> Result<Vec<String>, DataError> {
    let both = request.options.answers == AnswerSource::TrainVal;
    if let Some(given) = &request.options.labels {
        let distinct: HashSet<&String> = given.iter().collect();
        if distinct.len() < given.len() || given.len() < 2 {
            return Err(DataError::Setting(
                "the answers of `--labels` are not two or more different ones; fix the list"
                    .to_owned(),
            ));
        }
        return Ok(given.clone());
    }
    let mut counts = Counts::default();
    for files in [&TRAIN, &VAL].into_iter().take(if both { 2 } else { 1 }) {
        let source = match annotations_of(request.place, files)? {
            Some(source) => source,
            None if !annotated => return Ok(Vec::new()),
            None => return Err(no_annotations(request.place, files)),
        };
        let list = JsonList::read(&source, "annotations")?;
        let mut fault = None;
        list.for_each(|annotation: Element<Annotation<'_>>| match annotation {
            Ok((_, annotation)) => {
                // What is held out is not looked at, unless all of val is.
                if both || !is_held_out(annotation.image_id) {
                    counts.add(&annotation.multiple_choice_answer);
                }
            }
            Err(error) => fault = fault.take().or(Some(error)),
        })?;
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(counts.vocabulary())
}

/// The answers of a split by question, with the picture that they are about.
type AnswersByQuestion = HashMap<u64, (u64, Answers)>;

fn read_answers(
    source: &Source,
    split: &str,
    lookup: &mut Lookup,
) -> Result<AnswersByQuestion, DataError> {
    let (path, list) = (source.path(), JsonList::read(source, "annotations")?);
    let mut answers = AnswersByQuestion::new();
    let mut fault = None;
    list.for_each(|annotation: Element<Annotation<'_>>| {
        let (line, annotation) = match annotation {
            Ok(annotation) => annotation,
            Err(error) => {
                fault = fault.take().or(Some(error));
                return;
            }
        };
        let id = annotation.question_id;
        if !is_of(split, annotation.image_id) || fault.is_some() {
            return;
        }
        if annotation.answers.len() < 2 {
            let words = format!("the question `{id}` has fewer than two answers; copy it again");
            fault = Some(DataError::row(path, line, "answers", words));
            return;
        }
        let said = annotation.answers.iter().map(|given| given.answer.as_ref());
        let mut said = said.chain([annotation.multiple_choice_answer.as_ref()]);
        if let Some((_, words)) = said.find_map(|answer| plain("answer", answer).err()) {
            fault = Some(DataError::row(path, line, "answer", words));
            return;
        }
        let found = lookup.answers(
            annotation.answers.iter().map(|given| given.answer.as_ref()),
            (
                &annotation.multiple_choice_answer,
                &annotation.question_type,
                &annotation.answer_type,
            ),
        );
        if answers.insert(id, (annotation.image_id, found)).is_some() {
            let words = format!("the question `{id}` is annotated twice; copy the file again");
            fault = Some(DataError::row(path, line, "question_id", words));
        }
    })?;
    fault.map_or(Ok(answers), Err)
}

/// How pictures are called: as COCO 2014 and 2015 name them, or, where only the folders of COCO 2017
/// are there, by their numbers alone in either of them.
struct Pictures<'a> {
    place: &'a Place,
    folder: &'static str,
    newer: bool,
}

const NEWER: [&str; 2] = ["train2017", "val2017"];

impl<'a> Pictures<'a> {
    fn of(place: &'a Place, files: &Files) -> Self {
        let folder = files.pictures;
        let newer = folder != TEST.pictures
            && !place.has_folder(folder)
            && NEWER.iter().any(|folder| place.has_folder(folder));
        Self { place, folder, newer }
    }

    fn note(&self) -> Option<String> {
        self.newer.then(|| {
            format!(
                "{}: there is no `{}`; the pictures are looked for by number in `{}` and `{}`, where \
                 COCO 2017 has the same ones",
                self.place.root().display(),
                self.folder,
                NEWER[0],
                NEWER[1]
            )
        })
    }

    /// Relative to the root.
    fn path(&self, image_id: u64) -> String {
        let folder = self.folder;
        if !self.newer {
            return format!("{folder}/COCO_{folder}_{image_id:012}.jpg");
        }
        let paths = NEWER.map(|folder| format!("{folder}/{image_id:012}.jpg"));
        let [first, second] = paths;
        if self.place.picture(&first, true).is_ok() { first } else { second }
    }
}

#[cfg(test)]
mod tests;
