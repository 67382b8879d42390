//! Two controls: a set on which the picture must help, and the same set with its pictures shuffled.

use std::path::Path;
use std::time::Instant;

use mmc_data::demo::Truth;
use mmc_report::{Answer, Verdict};
use mmc_run::Experiment;

use super::chain::{Chain, Pictures, demo_set, no_demo};
use crate::conclusion::decide;
use crate::failure::Failure;
use crate::grid::time;
use crate::launch::Launch;

/// A set whose verdict is known beforehand.
struct Control {
    name: &'static str,
    what: &'static str,
    pictures: Pictures,
    expected: Expected,
}

/// What a control must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Is(Answer),
    IsNot(Answer),
}

const CONTROLS: [Control; 2] = [
    Control {
        name: "positive",
        what: "text and picture together tell the label, neither does alone",
        pictures: Pictures::Own,
        expected: Expected::Is(Answer::Multimodal),
    },
    Control {
        name: "negative",
        what: "the same set, its pictures shuffled among the items that are trained on",
        pictures: Pictures::Shuffled,
        expected: Expected::IsNot(Answer::Multimodal),
    },
];

impl Expected {
    fn admits(self, answer: Answer) -> bool {
        match self {
            Self::Is(wanted) => answer == wanted,
            Self::IsNot(unwanted) => answer != unwanted,
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(wanted) => write!(formatter, "`{wanted}`"),
            Self::IsNot(unwanted) => write!(formatter, "anything but `{unwanted}`"),
        }
    }
}

/// What a control came to.
struct Outcome {
    answer: Answer,
    /// Runs that failed, or that have no diagnosis.
    failed: usize,
    gain: Option<f64>,
}

impl Outcome {
    /// The figures of a verdict; the gain is the largest of all models.
    fn of(verdict: &Verdict, failed: usize) -> Self {
        let gains = verdict.gains.iter().filter_map(|gain| gain.gain);
        Self { answer: verdict.verdict, failed, gain: gains.max_by(f64::total_cmp) }
    }

    /// Why the control failed; `None` where it did not. A verdict on a part of the grid is none:
    /// where nothing trained, no picture helps either.
    fn problem(&self, expected: Expected) -> Option<String> {
        if self.failed > 0 {
            return Some(format!("{} runs or diagnoses failed, see above", self.failed));
        }
        (!expected.admits(self.answer)).then(|| "not as expected".to_owned())
    }
}

/// Runs both and says of each what was expected, what came, and how long it took.
pub(super) fn run(experiment: &Experiment, out: &Path, launch: &Launch<'_>) -> Result<(), Failure> {
    let grid = experiment.demo.as_ref().ok_or_else(no_demo)?.grid.clone();
    let mut problems = 0;
    let mut lines = Vec::new();
    for control in CONTROLS {
        let started = Instant::now();
        let chain = Chain {
            experiment,
            grid: grid.clone(),
            set: demo_set(experiment, Truth::Interaction, 0)?,
            pictures: control.pictures,
            out: out.join("controls").join(control.name),
            command: "cargo xtask selftest",
            diagnosis: &[],
        };
        say!("{} control: {}; expected: {}", control.name, control.what, control.expected);
        let failed = chain.execute(launch)?;
        let (_, verdict) = decide(&chain.out)?;
        let outcome = Outcome::of(&verdict, failed);
        say!("report: {}\n", chain.out.join("report.md").display());
        let problem = outcome.problem(control.expected);
        problems += usize::from(problem.is_some());
        let gain = outcome.gain.map_or(String::new(), |gain| {
            format!(" (largest gain over text {gain:+.3} {})", verdict.metric)
        });
        lines.push(format!(
            "{} control: expected {}, came `{}`{gain}, in {}: {}",
            control.name,
            control.expected,
            outcome.answer,
            time(started.elapsed().as_secs_f64()),
            problem.map_or("passed".to_owned(), |why| format!("FAILED: {why}")),
        ));
    }
    for line in lines {
        say!("{line}");
    }
    if problems == 0 {
        say!("selftest: passed, the verdict can say yes and no");
        return Ok(());
    }
    say!("selftest: FAILED, {problems} of {} controls", CONTROLS.len());
    Err(Failure::said())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(control: &Control, answer: Answer, failed: usize) -> Option<String> {
        Outcome { answer, failed, gain: None }.problem(control.expected)
    }

    #[test]
    fn a_chain_that_always_says_the_same_fails_a_control() {
        let [yes, no] = &CONTROLS;
        for answer in [Answer::Multimodal, Answer::TextSuffices, Answer::Undecided] {
            let fails = |control| problem(control, answer, 0).is_some();
            assert_ne!(fails(yes), fails(no), "{answer}");
        }
        assert_eq!(problem(yes, Answer::Multimodal, 0), None);
        assert_eq!(problem(no, Answer::Undecided, 0), None);
    }

    #[test]
    fn a_grid_with_failed_runs_proves_nothing() {
        let [yes, no] = &CONTROLS;
        let said = problem(no, Answer::Undecided, 2).unwrap();
        assert!(said.contains("2 runs"), "{said}");
        assert!(problem(yes, Answer::Multimodal, 1).is_some());
    }

    #[test]
    fn the_controls_differ_in_their_pictures_alone_and_say_what_they_expect() {
        let [yes, no] = &CONTROLS;
        assert_eq!((yes.pictures, no.pictures), (Pictures::Own, Pictures::Shuffled));
        assert_eq!(yes.expected.to_string(), "`multimodal`");
        assert_eq!(no.expected.to_string(), "anything but `multimodal`");
    }
}
