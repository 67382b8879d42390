//! Predicted answers to questions: a row says the most probable answers and what people said, and
//! not a number for each of thousands of classes.

use std::cmp::Reverse;
use std::collections::HashMap;

use mmc_data::Answers;
use mmc_metrics::AnsweredItems;

use super::{Prediction, Predictions};

/// How many answers of a row are kept.
pub(super) const TOP: usize = 5;

/// What a row says beside the answer, which is its `prediction`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerRow {
    /// The probability of the answer: the logistic function of its logit, since several answers of a
    /// question may be accepted.
    pub probability: f64,
    /// The most probable answers with their probabilities, in falling order.
    pub top: Vec<(String, f64)>,
    /// What each of the people answered, as it is written; empty where that is not known.
    pub answers: Vec<String>,
    /// What the question begins with, where that is known.
    pub question_type: Option<String>,
    /// What kind of answer it has, where that is known.
    pub answer_type: Option<String>,
}

impl Prediction {
    /// What logits, one a known answer, say of a question; `known`: what people said. The answer is
    /// that of the highest logit, the first of equals.
    #[must_use]
    pub fn of_answer_logits(
        (id, group): (String, Option<String>),
        vocabulary: &[String],
        logits: &[f32],
        known: Option<&Answers>,
    ) -> Self {
        let mut order: Vec<usize> = Vec::with_capacity(TOP + 1);
        for class in 0..logits.len().min(vocabulary.len()) {
            let before = order.iter().take_while(|&&other| logits[other] >= logits[class]).count();
            if before < TOP {
                order.insert(before, class);
                order.truncate(TOP);
            }
        }
        let probability = |class: usize| 1.0 / (1.0 + (-f64::from(logits[class])).exp());
        let top: Vec<(String, f64)> =
            order.iter().map(|&class| (vocabulary[class].clone(), probability(class))).collect();
        let (prediction, probability) = top.first().cloned().unwrap_or_default();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let answers = AnswerRow {
            probability,
            top,
            answers: known
                .map(|known| known.given.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            question_type: known.and_then(|known| text(&known.question_type)),
            answer_type: known.and_then(|known| text(&known.answer_type)),
        };
        Self {
            id,
            label: known.and_then(|known| text(&known.most_frequent)),
            prediction,
            probabilities: Vec::new(),
            logits: None,
            group,
            answer: Some(Box::new(answers)),
        }
    }

    /// Whether the row can be scored.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        match &self.answer {
            Some(answer) => !answer.answers.is_empty(),
            None => self.label.is_some(),
        }
    }
}

/// Judged answers, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredAnswers {
    /// `[rows]`: the official accuracy of each answer, from 0 to 1.
    pub accuracies: Vec<f64>,
    /// `[rows]`, or empty where they are not known of every row.
    pub question_types: Vec<String>,
    /// `[rows]`, or empty where they are not known of every row.
    pub answer_types: Vec<String>,
}

impl ScoredAnswers {
    /// As the metrics take them.
    #[must_use]
    pub fn borrowed(&self) -> AnsweredItems<'_> {
        AnsweredItems {
            accuracies: &self.accuracies,
            question_types: &self.question_types,
            answer_types: &self.answer_types,
        }
    }

    /// Judges rows that are answers; the first that cannot be judged is named.
    pub(super) fn of(rows: &[Prediction]) -> Result<Self, String> {
        let mut scored = Self::default();
        let known = |of: fn(&AnswerRow) -> &Option<String>| -> Vec<String> {
            let types: Option<Vec<String>> =
                rows.iter().map(|row| of(row.answer.as_deref()?).clone()).collect();
            types.unwrap_or_default()
        };
        scored.question_types = known(|answer| &answer.question_type);
        scored.answer_types = known(|answer| &answer.answer_type);
        for row in rows {
            let people = row.answer.as_deref().map_or(&[][..], |answer| &answer.answers);
            let accuracy = mmc_metrics::vqa::accuracy(&row.prediction, people)
                .map_err(|error| format!("item `{}`: {error}", row.id))?;
            scored.accuracies.push(accuracy);
        }
        Ok(scored)
    }

    /// The chosen rows alone.
    #[must_use]
    pub fn only(&self, chosen: &[usize]) -> Self {
        let texts = |all: &[String]| {
            chosen.iter().filter_map(|&item| all.get(item).cloned()).collect::<Vec<_>>()
        };
        Self {
            accuracies: chosen.iter().map(|&item| self.accuracies[item]).collect(),
            question_types: texts(&self.question_types),
            answer_types: texts(&self.answer_types),
        }
    }
}

impl Predictions {
    /// What people said most often (the first by name of equals), and the official accuracy `[rows]` of
    /// giving it to every question. `None` where rows are no answers, or have none to be judged by.
    #[must_use]
    pub fn constant_answer(&self) -> Option<(&str, Vec<f64>)> {
        let people = |row| -> &[String] {
            let row: &Prediction = row;
            row.answer.as_deref().map_or(&[], |answer| &answer.answers)
        };
        let mut votes: HashMap<&str, usize> = HashMap::new();
        for answer in self.rows.iter().flat_map(people) {
            *votes.entry(answer).or_default() += 1;
        }
        let by_votes = votes.into_iter().map(|(name, count)| (count, Reverse(name)));
        let (_, Reverse(constant)) = by_votes.max()?;
        let accuracy = |row| mmc_metrics::vqa::accuracy(constant, people(row)).ok();
        Some((constant, self.rows.iter().map(accuracy).collect::<Option<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_most_probable_answers_in_order() {
        let vocabulary: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        let logits = [0.0, 2.0, -1.0, 2.0, 1.0, -3.0];
        let row = Prediction::of_answer_logits(("7".to_owned(), None), &vocabulary, &logits, None);
        assert_eq!(
            (row.prediction.as_str(), row.is_labelled()),
            ("b", false),
            "the first of equals"
        );
        let answer = row.answer.unwrap();
        let names: Vec<&str> = answer.top.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "d", "e", "a", "c"]);
        assert!((answer.top[3].1 - 0.5).abs() < 1e-12);
        assert!((answer.probability - 0.880_797_077_977_882).abs() < 1e-12);
    }

    #[test]
    fn the_constant_answer_is_what_people_said_most_often() {
        let row = |said: [&str; 3]| {
            let answers = said.map(str::to_owned).to_vec();
            let answer = AnswerRow { answers, ..AnswerRow::default() };
            let mut row = Prediction::of_answer_logits(
                (said.join(" "), None),
                &["red".to_owned()],
                &[0.0],
                None,
            );
            row.answer = Some(Box::new(answer));
            row
        };
        let rows =
            vec![row(["no", "no", "two"]), row(["yes", "yes", "yes"]), row(["no", "2", "yes"])];
        let mut all = Predictions { classes: vec![], rows };
        // Four times yes, three times no. One of two others of the last question agrees with it twice.
        let (constant, accuracies) = all.constant_answer().unwrap();
        assert_eq!(constant, "yes");
        assert!(accuracies[0].abs() < 1e-12);
        assert!((accuracies[1] - 2.0 / 3.0).abs() < 1e-12);
        assert!((accuracies[2] - 2.0 / 9.0).abs() < 1e-12);
        all.rows.push(row(["no", "two", "five"]));
        assert_eq!(all.constant_answer().unwrap().0, "no", "the first by name of equals");
        all.rows[0].answer = None;
        assert_eq!(all.constant_answer(), None, "a question that cannot be judged");
    }
}
