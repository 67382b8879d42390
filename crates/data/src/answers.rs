//! Answers of several people to one question, and the vocabulary that is made from them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mmc_metrics::vqa::normalise;

use crate::Split;
use crate::sample::Target;

/// What people answered to a question, and what each answer of a vocabulary is worth for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// `(class, score)` of the answers that the vocabulary has, by class; the score in `0..=1` is
    /// the official accuracy of an answer that so many people gave.
    pub scores: Vec<(usize, f32)>,
    /// What each of the people answered, as it is written.
    pub given: Box<[Arc<str>]>,
    /// The most frequent answer, as the data set names it.
    pub most_frequent: Arc<str>,
    /// What the question begins with.
    pub question_type: Arc<str>,
    /// What kind of answer it has.
    pub answer_type: Arc<str>,
}

/// Questions of the published training file. Together with the validation file, the usual limit of 9
/// occurrences gives the 3,129 answers of the literature.
const PUBLISHED_TRAIN: usize = 443_757;
/// How often an answer must be the most frequent one of a question, in files of that size.
const LEAST_OCCURRENCES: usize = 9;

/// The least occurrences in a file of so many questions: 9, and in proportion where there are fewer
/// questions than published.
pub(crate) fn least_occurrences(questions: usize) -> usize {
    let share = (LEAST_OCCURRENCES * questions).div_ceil(PUBLISHED_TRAIN);
    share.clamp(1, LEAST_OCCURRENCES)
}

/// How often each normalised answer is the most frequent one of a question.
#[derive(Default)]
pub(crate) struct Counts {
    /// By the answer as it is written.
    raw: HashMap<String, usize>,
    questions: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, most_frequent: &str) {
        self.questions += 1;
        match self.raw.get_mut(most_frequent) {
            Some(count) => *count += 1,
            None => {
                self.raw.insert(most_frequent.to_owned(), 1);
            }
        }
    }

    /// The answers that are frequent enough, the most frequent first and equals by bytes: the order
    /// of the questions has no part in it.
    pub(crate) fn vocabulary(self) -> Vec<String> {
        let least = least_occurrences(self.questions);
        let mut normal: HashMap<String, usize> = HashMap::new();
        let written: BTreeSet<(String, usize)> = self.raw.into_iter().collect();
        for (answer, count) in written {
            *normal.entry(normalise(&answer)).or_default() += count;
        }
        let sorted: BTreeSet<(usize, String)> = normal
            .into_iter()
            .filter(|(answer, count)| *count >= least && !answer.is_empty())
            .map(|(answer, count)| (usize::MAX - count, answer))
            .collect();
        sorted.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// Looks answers up in a vocabulary; what is written alike is kept once.
pub(crate) struct Lookup {
    classes: HashMap<String, usize>,
    known: HashMap<Arc<str>, Option<usize>>,
}

impl Lookup {
    pub(crate) fn new(vocabulary: &[String]) -> Self {
        let classes = vocabulary.iter().cloned().zip(0..).collect();
        Self { classes, known: HashMap::new() }
    }

    /// A text that is kept once however often it is written, with its class.
    fn entry(&mut self, text: &str) -> (Arc<str>, Option<usize>) {
        if let Some((kept, class)) = self.known.get_key_value(text) {
            return (Arc::clone(kept), *class);
        }
        let kept: Arc<str> = Arc::from(text);
        // A checkpoint's own vocabulary may hold answers as they are written.
        let class = self.classes.get(&normalise(text)).or_else(|| self.classes.get(text)).copied();
        self.known.insert(Arc::clone(&kept), class);
        (kept, class)
    }

    /// The answers to a question, scored.
    pub(crate) fn answers<'a>(
        &mut self,
        given: impl Iterator<Item = &'a str>,
        (most_frequent, question_type, answer_type): (&str, &str, &str),
    ) -> Answers {
        let mut counts: Vec<(usize, usize)> = Vec::new();
        let mut kept = Vec::with_capacity(10);
        for answer in given {
            let (answer, class) = self.entry(answer);
            kept.push(answer);
            match class.map(|class| (class, counts.iter_mut().find(|(at, _)| *at == class))) {
                Some((_, Some((_, count)))) => *count += 1,
                Some((class, None)) => counts.push((class, 1)),
                None => {}
            }
        }
        counts.sort_unstable();
        let people = kept.len();
        let scores = counts.into_iter().map(|(class, count)| (class, score(count, people)));
        Answers {
            scores: scores.collect(),
            given: kept.into_boxed_slice(),
            most_frequent: self.entry(most_frequent).0,
            question_type: self.entry(question_type).0,
            answer_type: self.entry(answer_type).0,
        }
    }
}

/// The mean, over the people, of min(1, others with this answer / 3), for an answer that `count` of
/// them gave: 0.3, 0.6, 0.9, 1 of ten.
fn score(count: usize, people: usize) -> f32 {
    let third = |others: usize| others.min(3) as f64 / 3.0;
    let (with, without) = (count as f64, (people - count) as f64);
    ((with * third(count - 1) + without * third(count)) / people as f64) as f32
}

/// What a vocabulary knows of the answers of a split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coverage {
    pub(crate) questions: usize,
    /// Questions of which it has at least one answer.
    pub(crate) covered: usize,
    /// The mean over all questions of the best score that it allows.
    pub(crate) ceiling: f64,
}

impl Coverage {
    /// `None` where no sample has answers.
    pub(crate) fn of<'a>(targets: impl Iterator<Item = Option<&'a Target>>) -> Option<Self> {
        let (mut questions, mut covered, mut sum) = (0, 0, 0.0);
        for target in targets {
            let Some(Target::Answers(answers)) = target else { continue };
            questions += 1;
            covered += usize::from(!answers.scores.is_empty());
            sum += answers.scores.iter().map(|(_, score)| f64::from(*score)).fold(0.0, f64::max);
        }
        (questions > 0).then(|| Self { questions, covered, ceiling: sum / questions as f64 })
    }

    /// For readers.
    pub(crate) fn note(self, split: &str, vocabulary: usize) -> String {
        let Self { questions, covered, ceiling } = self;
        format!(
            "`{split}`: {covered} of {questions} questions have an answer among the {vocabulary} \
             known ones, so no model with these can score above {ceiling:.4}; the others count as 0"
        )
    }
}

impl Split {
    /// The answers of the sample called `id`, looked for from `from` on, in the split's order; with
    /// the place behind it.
    #[must_use]
    pub fn answers_of(&self, id: &str, from: usize) -> Option<(&Arc<Answers>, usize)> {
        let found = self.samples.get(from..)?.iter().position(|sample| sample.id == id)? + from;
        match &self.samples[found].target {
            Some(Target::Answers(answers)) => Some((answers, found + 1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_official_accuracy_of_the_answer() {
        for (count, expected) in [(1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0), (10, 1.0)] {
            let answers: Vec<&str> =
                (0..10).map(|person| if person < count { "x" } else { "y" }).collect();
            let official = mmc_metrics::vqa::accuracy("x", &answers).unwrap();
            assert!((f64::from(score(count, 10)) - official).abs() < 1e-6, "{count}");
            assert!((official - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_vocabulary_has_the_frequent_answers_and_no_order_of_rows() {
        let build = |answers: &[&str]| {
            let mut counts = Counts::default();
            for answer in answers {
                counts.add(answer);
            }
            counts.vocabulary()
        };
        let answers = ["Two", "2", "red", "the red", "blue", "a"];
        assert_eq!(build(&answers), ["2", "red", "blue"]);
        let mut turned = answers;
        turned.reverse();
        assert_eq!(build(&turned), ["2", "red", "blue"]);
        assert_eq!([10, 50_000, 400_000, 443_757, 658_111].map(least_occurrences), [1, 2, 9, 9, 9]);
    }

    #[test]
    fn answers_are_looked_up_as_they_are_compared() {
        let mut lookup = Lookup::new(&["red".to_owned(), "2".to_owned()]);
        let given = ["Red", "red.", "the red", "two", "pink", "pink", "pink", "pink", "pink", "2"];
        let answers = lookup.answers(given.into_iter(), ("pink", "what", "other"));
        let scores: Vec<(usize, i32)> = answers
            .scores
            .iter()
            .map(|(class, at)| (*class, (at * 100.0).round() as i32))
            .collect();
        assert_eq!(scores, [(0, 90), (1, 60)]);
        assert_eq!(&*answers.given[2], "the red");
        assert!(Arc::ptr_eq(&answers.given[4], &answers.most_frequent));
        let covered =
            Coverage::of([Some(&Target::Answers(Arc::new(answers)))].into_iter()).unwrap();
        assert_eq!((covered.questions, covered.covered), (1, 1));
        assert!((covered.ceiling - 0.9).abs() < 1e-6);
    }
}
