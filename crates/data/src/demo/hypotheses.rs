//! Hypotheses about a picture of one shape.

use mmc_random::{ChaCha8Rng, below};

use super::shapes::COLOURS;
use super::words::one_of;

/// `{c}` is a colour: true in an entailment, false in a contradiction.
const VISIBLE: [&str; 8] = [
    "the shape is {c}",
    "there is a {c} shape",
    "a {c} shape can be seen",
    "the thing in the middle looks {c}",
    "this shows something {c}",
    "you see a {c} thing on grey",
    "it is {c} and not small",
    "a {c} thing lies on the grey ground",
];

/// What no picture of a shape can show.
const INVISIBLE: [&str; 8] = [
    "a {w} painted the shape {t}",
    "the {c} shape was sold in {p}",
    "the {w} dreams of a {c} shape",
    "it was made in {p} {t}",
    "a {w} will collect it {t}",
    "the {w} likes {c} things",
    "somebody in {p} lost a {c} shape",
    "the {w} paid for it {t}",
];

const WHO: [&str; 8] =
    ["child", "baker", "teacher", "cousin", "driver", "singer", "farmer", "neighbour"];
const WHERE: [&str; 6] = ["paris", "london", "lima", "rome", "berlin", "santiago"];
const WHEN: [&str; 6] = ["yesterday", "tomorrow", "tonight", "lately", "again", "once"];

/// Words that give a class away, two of which stand in a hypothesis; a row a class.
const CUES: [[&str; 6]; 3] = [
    ["standing", "sitting", "walking", "talking", "resting", "looking"],
    ["joking", "winning", "competing", "hurrying", "travelling", "shopping"],
    ["sleeping", "swimming", "flying", "vanishing", "melting", "frowning"],
];

/// `{1}` and `{2}` are cues, the rest means nothing.
const SENTENCES: [&str; 6] = [
    "the {w} is {1} and {2}",
    "a {w} is {1} , maybe {2} , in {p}",
    "somebody in {p} is {1} or {2} {t}",
    "{t} the {w} was {1} while {2}",
    "a {w} and a friend are {1} and {2}",
    "people are {1} and {2} {t}",
];

/// A hypothesis of this class (entailment, neutral, contradiction) about a shape of this colour.
/// Named colours are equally frequent in all classes.
pub(super) fn about_colour(class: usize, colour: usize, random: &mut ChaCha8Rng) -> String {
    let named = match class {
        0 => colour,
        1 => below(COLOURS.len(), random),
        _ => (colour + 1 + below(COLOURS.len() - 1, random)) % COLOURS.len(),
    };
    let templates = if class == 1 { &INVISIBLE } else { &VISIBLE };
    filled(one_of(templates, random), &[("{c}", COLOURS[named].0)], random)
}

/// A hypothesis whose words say this class, whatever the picture.
pub(super) fn with_cue(class: usize, random: &mut ChaCha8Rng) -> String {
    let cues = &CUES[class % CUES.len()];
    let first = below(cues.len(), random);
    let second = (first + 1 + below(cues.len() - 1, random)) % cues.len();
    let cues = [("{1}", cues[first]), ("{2}", cues[second])];
    filled(one_of(&SENTENCES, random), &cues, random)
}

fn filled(template: &str, given: &[(&str, &str)], random: &mut ChaCha8Rng) -> String {
    let words: Vec<&str> = template
        .split(' ')
        .map(|word| match word {
            "{w}" => one_of(&WHO, random),
            "{p}" => one_of(&WHERE, random),
            "{t}" => one_of(&WHEN, random),
            other => given.iter().find(|(slot, _)| *slot == other).map_or(other, |(_, by)| by),
        })
        .collect();
    words.join(" ")
}
