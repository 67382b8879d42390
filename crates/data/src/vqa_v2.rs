//! VQA v2 (Goyal et al., 2017): questions and annotations, one JSON object each, on COCO pictures.
//!
//! The answers of `test` and `test-dev` are known to the evaluation server alone. A tenth of the
//! training pictures, always the same, is `held_out` from training to choose the best epoch on, so
//! that `val` stays a test set.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::answers::{Answers, Counts, Coverage, Lookup};
use crate::dataset::{AnswerSource, Request};
use crate::json_list::{Element, JsonList};
use crate::scan::{Collector, Fields, Kind, Labels, Scan, without_nul};
use crate::{DataError, Target, demo};

/// Where the parts of a split lie.
struct Files {
    questions: &'static str,
    /// `None`: nobody but the server knows them.
    annotations: Option<&'static str>,
    pictures: &'static str,
    /// Questions in the published file.
    published: usize,
}

const TRAIN: Files = Files {
    questions: "v2_OpenEnded_mscoco_train2014_questions.json",
    annotations: Some("v2_mscoco_train2014_annotations.json"),
    pictures: "train2014",
    published: 443_757,
};
const VAL: Files = Files {
    questions: "v2_OpenEnded_mscoco_val2014_questions.json",
    annotations: Some("v2_mscoco_val2014_annotations.json"),
    pictures: "val2014",
    published: 214_354,
};
const TEST: Files = Files {
    questions: "v2_OpenEnded_mscoco_test2015_questions.json",
    annotations: None,
    pictures: "test2015",
    published: 447_793,
};
const TEST_DEV: Files = Files {
    questions: "v2_OpenEnded_mscoco_test-dev2015_questions.json",
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
pub(crate) fn locate(root: &Path, split: &str) -> Result<PathBuf, DataError> {
    let path = root.join(files_of(split).questions);
    if path.is_file() {
        return Ok(path);
    }
    let problem = format!("the split `{split}` has no file; put it there as it was published");
    Err(DataError::file(&path, problem))
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
    let path = locate(request.root, request.split)?;
    let files = files_of(request.split);
    let annotations = files.annotations.map(|name| request.root.join(name));
    let annotations = annotations.filter(|path| request.split == "train" || path.is_file());
    let vocabulary = vocabulary(request, annotations.is_some())?;
    let labels = Labels { names: vocabulary, codes: Vec::new(), remedy: "" };
    let mut lookup = Lookup::new(&labels.names);
    let known = labels.names.len();
    let mut collector = Collector::new(request, &path, labels)?;
    collector.notes.extend(demo::note(request.root)?);
    let mut answers = match &annotations {
        Some(path) => Some(read_answers(path, request.split, &mut lookup)?),
        None => None,
    };
    let pictures = Pictures::of(request.root, files);
    collector.notes.extend(pictures.note());
    let list = JsonList::read(&path, "questions")?;
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
    if questions != files.published && demo::manifest(request.root)?.is_none() {
        collector.notes.push(format!(
            "{}: {questions} questions where the published file has {}: scores do not compare with \
             published ones",
            path.display(),
            files.published
        ));
    }
    if request.split == "train" && left_out > 0 {
        collector.notes.push(format!(
            "`train`: {left_out} of {questions} questions are on the tenth of pictures that is \
             `{HELD_OUT}`, to choose the best epoch on"
        ));
    }
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
        let path = request.root.join(files.annotations.unwrap_or_default());
        if !path.is_file() {
            if !annotated {
                return Ok(Vec::new());
            }
            let problem = "not there, and the answer vocabulary is made from it; put it there as it \
                           was published";
            return Err(DataError::file(&path, problem));
        }
        let list = JsonList::read(&path, "annotations")?;
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
    path: &Path,
    split: &str,
    lookup: &mut Lookup,
) -> Result<AnswersByQuestion, DataError> {
    let list = JsonList::read(path, "annotations")?;
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
        if let Some((_, words)) = said.find_map(|answer| without_nul("answer", answer).err()) {
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
    root: &'a Path,
    folder: &'static str,
    newer: bool,
}

const NEWER: [&str; 2] = ["train2017", "val2017"];

impl<'a> Pictures<'a> {
    fn of(root: &'a Path, files: &Files) -> Self {
        let there = |folder: &str| root.join(folder).is_dir();
        let folder = files.pictures;
        let newer = folder != TEST.pictures && !there(folder) && NEWER.iter().any(|it| there(it));
        Self { root, folder, newer }
    }

    fn note(&self) -> Option<String> {
        self.newer.then(|| {
            format!(
                "{}: there is no `{}`; the pictures are looked for by number in `{}` and `{}`, where \
                 COCO 2017 has the same ones",
                self.root.display(),
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
        if self.root.join(&first).is_file() { first } else { second }
    }
}

#[cfg(test)]
mod tests;
