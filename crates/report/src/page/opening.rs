//! The answer, and what to be careful about before believing it.

use super::{Page, heading};
use crate::caption::demo_words;
use crate::compare::Gain;
use crate::document::Block;
use crate::figure::{signed, signed_interval};
use crate::verdict::Answer;

impl Page<'_> {
    pub(super) fn opening(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let question = format!("oes the picture help on {}?", verdict.experiment.name);
        let mut blocks = Vec::new();
        match demo_words(verdict) {
            Some(demo) => {
                blocks.push(Block::Heading(1, format!("DEMO: d{question}")));
                let words = format!("{demo}. No figure below says anything about the real data.");
                blocks.push(Block::Banner(words));
            }
            None => blocks.push(Block::Heading(1, format!("D{question}"))),
        }
        blocks.push(Block::Answer(self.answer()));
        blocks.push(Block::Verdict(verdict.verdict.to_string()));
        let meaning = match verdict.verdict {
            Answer::Multimodal => {
                "A model that sees the picture is shown to gain over the best text model, and by an \
                 estimate of at least the margin."
            }
            Answer::TextSuffices => {
                "Every model that sees the picture is shown to gain less than the margin over the \
                 best text model."
            }
            Answer::Undecided => {
                "These results can neither show a gain that matters nor rule one out. That is not \
                 the same as no gain."
            }
        };
        blocks.push(Block::Paragraph(format!(
            "{meaning} Decided on `{}` with a margin of {}, on {}.",
            verdict.metric, verdict.margin, self.of_test
        )));
        let mut reasons = verdict.reasons.clone();
        reasons.extend(verdict.help.iter().map(|line| format!("What would decide: {line}.")));
        blocks.push(Block::List(reasons));
        blocks
    }

    /// The answer in one sentence.
    fn answer(&self) -> String {
        let verdict = self.verdict;
        let metric = &verdict.metric;
        let shown = |gain: &Gain| Some((gain.gain?, gain.interval?));
        let largest = |gains: &mut dyn Iterator<Item = &Gain>| {
            gains
                .filter_map(|gain| {
                    Some((gain.candidate.clone(), gain.baseline.clone(), shown(gain)?))
                })
                .max_by(|a, b| a.2.0.total_cmp(&b.2.0))
        };
        let gaining = largest(&mut verdict.gains.iter().filter(|gain| gain.finding.is_gain()));
        let any = largest(&mut verdict.gains.iter());
        match (verdict.verdict, gaining, any) {
            (Answer::Multimodal, Some((candidate, baseline, (gain, at))), _) => format!(
                "The picture helps: {candidate} scores {gain:.3} {metric} above {baseline}, the best text \
                 model (interval {}).",
                signed_interval(at.low, at.high)
            ),
            (Answer::TextSuffices, _, Some((candidate, baseline, (gain, at)))) => format!(
                "Text suffices: no model that sees the picture gains {} {metric} over {baseline}; the \
                 most, {candidate}, gains {} (interval {}).",
                verdict.margin,
                signed(gain),
                signed_interval(at.low, at.high)
            ),
            (_, _, Some((candidate, baseline, (gain, at)))) => format!(
                "Not decided: whether the picture gains {} {metric} over {baseline} cannot be told \
                 from these items and seeds; the largest estimate, {candidate}, is {} (interval {}).",
                verdict.margin,
                signed(gain),
                signed_interval(at.low, at.high)
            ),
            _ => "Not decided: no model that sees the picture could be compared with a text model."
                .to_owned(),
        }
    }

    pub(super) fn alarms(&self) -> Vec<Block> {
        let alarms = &self.verdict.alarms;
        let lines = if alarms.is_empty() {
            Block::Paragraph(
                "None. Looked at, where the files of the runs tell: runs that failed, did not train or \
                 predict one class, scores below chance or far below published ones, splits that \
                 overlap, seeds that collapsed, parameters that stood still, waiting for data."
                    .to_owned(),
            )
        } else {
            Block::Alarms(alarms.clone())
        };
        vec![heading("Warnings"), lines]
    }
}
