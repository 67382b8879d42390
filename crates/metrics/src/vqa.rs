//! Answers to questions about pictures, judged by the official rule of VQA v2 (Goyal et al. 2017;
//! evaluation code v2.0 as of March 2021), with its quirks: they decide real answers.
//!
//! Ten people answered each question. A prediction is compared with them as it is where all ten said
//! the same, and after [`normalise`] where not, so `2` does not match ten times `two`, and does match
//! nine times. Digits are those of ASCII, as in the Python 2 of the official script.

use crate::error::Result;
use crate::labels::vqa_soft_accuracy;

/// Marks that are deleted or become a space. The apostrophe and the colon are not among them.
const MARKS: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',',
    '?', '!',
];

/// At most so many full stops are removed: the official script passes a flag of this value where a
/// count is expected.
const MOST_STOPS: usize = 32;

const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];

/// Words of one apostrophe that are also understood without it.
const CONTRACTIONS: &str = "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't \
    haven't he'd he's how'd how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've \
    needn't not've o'clock oughtn't shan't should've shouldn't somebody'll somebody's someone'd \
    someone'll someone's something'd something'll that's there'd there're there's they'd they'll \
    they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd where's \
    where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd \
    you'll you're you've";

/// Words of two apostrophes that are also understood without either of them, and not without both.
const DOUBLE_CONTRACTIONS: &str = "couldn't've hadn't've he'd've it'd've mightn't've she'd've \
    shouldn't've somebody'd've someone'd've something'd've there'd've they'd've we'd've who'd've \
    wouldn't've y'all'll you'd've";

/// What follows no rule; the fourth is a slip of the official script.
const ODD_CONTRACTIONS: [(&str, &str); 7] = [
    ("ow's'at", "'ow's'at"),
    ("'ows'at", "'ow's'at"),
    ("'ow'sat", "'ow's'at"),
    ("somebody'd", "somebodyd"),
    ("yall'd've", "y'all'd've"),
    ("y'alld've", "y'all'd've"),
    ("y'all'dve", "y'all'd've"),
];

/// The official accuracy of one answer, from 0 to 1: each of the people's answers is left out in
/// turn, the others that match count a third each, up to 1, and the mean over the turns is taken.
///
/// ```
/// let answers = ["red", "red", "Red.", "dark red", "red", "the red", "pink", "pink", "red", "red"];
/// assert_eq!(mmc_metrics::vqa::accuracy("red", &answers)?, 1.0);
/// assert!((mmc_metrics::vqa::accuracy("Pink!", &answers)? - 0.6).abs() < 1e-12);
/// # Ok::<(), mmc_metrics::MetricError>(())
/// ```
///
/// # Errors
/// Fewer than two answers.
pub fn accuracy(prediction: &str, answers: &[impl AsRef<str>]) -> Result<f64> {
    let tidied: Vec<String> = answers.iter().map(|answer| tidied(answer.as_ref())).collect();
    let prediction = self::tidied(prediction);
    let all_agree = tidied.windows(2).all(|pair| pair[0] == pair[1]);
    if all_agree {
        let answers: Vec<&str> = tidied.iter().map(String::as_str).collect();
        return vqa_soft_accuracy(&prediction, &answers);
    }
    let normal: Vec<String> = tidied.iter().map(|answer| normalise(answer)).collect();
    let answers: Vec<&str> = normal.iter().map(String::as_str).collect();
    vqa_soft_accuracy(&normalise(&prediction), &answers)
}

/// An answer as answers are compared: marks and full stops gone, lower case, number words as digits,
/// articles dropped, contractions with their apostrophe, words separated by single spaces.
#[must_use]
pub fn normalise(answer: &str) -> String {
    let text = without_stops(&without_marks(&tidied(answer)));
    let lower = text.to_lowercase();
    let words = lower.split(is_space).filter(|word| !word.is_empty());
    let words = words
        .map(|word| NUMBERS.iter().find(|(name, _)| *name == word).map_or(word, |(_, digit)| digit))
        .filter(|word| !matches!(*word, "a" | "an" | "the"));
    words.map(with_apostrophe).collect::<Vec<_>>().join(" ")
}

/// Line breaks and tabs as spaces, none at the ends.
fn tidied(answer: &str) -> String {
    answer.replace(['\n', '\t'], " ").trim_matches(is_space).to_owned()
}

/// White space as Python has it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Deletes a mark where, anywhere in the text, it stands beside a space, and every mark where a comma
/// stands between digits; else it becomes a space.
fn without_marks(text: &str) -> String {
    let has_thousands = text.as_bytes().windows(3).any(|around| {
        around[0].is_ascii_digit() && around[1] == b',' && around[2].is_ascii_digit()
    });
    let mut beside_space = [false; MARKS.len()];
    for (left, right) in text.chars().zip(text.chars().skip(1)) {
        for (mark, found) in MARKS.iter().zip(&mut beside_space) {
            *found |= (left == *mark && right == ' ') || (left == ' ' && right == *mark);
        }
    }
    let replace = |character: char| match MARKS.iter().position(|mark| *mark == character) {
        None => Some(character),
        Some(mark) if has_thousands || beside_space[mark] => None,
        Some(_) => Some(' '),
    };
    text.chars().filter_map(replace).collect()
}

/// Without the full stops that no digit follows. A digit before one does not save it: the official
/// pattern misspells its look-behind.
fn without_stops(text: &str) -> String {
    let mut removed = 0;
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let before_digit = characters.peek().is_some_and(char::is_ascii_digit);
        if character == '.' && !before_digit && removed < MOST_STOPS {
            removed += 1;
        } else {
            kept.push(character);
        }
    }
    kept
}

fn with_apostrophe(word: &str) -> String {
    if let Some((_, whole)) = ODD_CONTRACTIONS.iter().find(|(odd, _)| *odd == word) {
        return (*whole).to_owned();
    }
    let mut apostrophes = word.match_indices('\'');
    let whole = match (apostrophes.next(), apostrophes.next()) {
        (None, _) => CONTRACTIONS.split_whitespace().find(|whole| {
            whole.len() == word.len() + 1 && whole.chars().filter(|at| *at != '\'').eq(word.chars())
        }),
        (Some(_), None) => DOUBLE_CONTRACTIONS.split_whitespace().find(|whole| {
            // Bytes, since the place may be within a letter of another script.
            let (whole_bytes, bytes) = (whole.as_bytes(), word.as_bytes());
            whole.len() == word.len() + 1
                && whole.match_indices('\'').any(|(at, _)| {
                    whole_bytes[..at] == bytes[..at] && whole_bytes[at + 1..] == bytes[at..]
                })
        }),
        _ => None,
    };
    whole.unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever people write, and contractions among it most of all.
        #[test]
        fn every_answer_can_be_normalised(
            answer in "(\\PC|['.,/]|[a-z]{1,3}|(he|she|i|who|might|n)?'?(d|t|ll)'?ve){0,6}",
        ) {
            let once = normalise(&answer);
            prop_assert!(!once.starts_with(' ') && !once.ends_with(' '), "{once:?}");
        }
    }

    #[test]
    fn answers_are_normalised_with_all_quirks() {
        for (answer, expected) in [
            (" The Dog ", "dog"),
            ("two\tdogs\n", "2 dogs"),
            ("none", "0"),
            ("yes, please", "yes please"),
            ("black/white", "black white"),
            ("black/ white/red", "black whitered"),
            ("1,000-2", "10002"),
            ("3.", "3"),
            ("3.5", "3.5"),
            ("u.s.a.", "usa"),
            ("dont", "don't"),
            ("Im", "im"),
            ("its", "its"),
            ("couldnt've", "couldn't've"),
            ("couldn'tve", "couldn't've"),
            ("couldntve", "couldntve"),
            ("somebody'd", "somebodyd"),
            ("'owsat", "'owsat"),
            ("a", ""),
            ("dog's", "dog's"),
            ("12:30", "12:30"),
            ("naïve é'x", "naïve é'x"),
            ("\u{4d7}hd've", "\u{4d7}hd've"),
        ] {
            assert_eq!(normalise(answer), expected, "{answer:?}");
        }
        assert_eq!(normalise(&".".repeat(40)), ".".repeat(8), "a flag is taken for a count");
    }

    fn is(found: Result<f64>, expected: f64) -> bool {
        (found.unwrap() - expected).abs() < 1e-12
    }

    #[test]
    fn raw_answers_are_compared_where_all_agree() {
        let agreed = ["two"; 10];
        assert!(is(accuracy("two\n", &agreed), 1.0));
        assert!(is(accuracy("2", &agreed), 0.0));
        let mut mixed = agreed;
        mixed[0] = "three";
        assert!(is(accuracy("2", &mixed), 1.0));
        assert!(is(accuracy("3", &mixed), 0.3));
        assert!(accuracy("x", &["x"]).is_err());
    }
}
