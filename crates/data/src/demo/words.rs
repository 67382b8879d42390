//! Captions: a tone, told by two cue words, within words that tell nothing.

use mmc_random::{ChaCha8Rng, below};

const PRAISE: [&str; 6] = ["lovely", "great", "sweet", "brilliant", "wonderful", "splendid"];
pub(super) const SCORN: [&str; 6] = ["awful", "nasty", "dreadful", "rotten", "horrid", "ghastly"];
const CHEERS: [&str; 3] = ["hooray", "bravo", "thanks"];
const JEERS: [&str; 3] = ["ugh", "yuck", "alas"];

/// `{i}` is the interjection and `{t}` the adjective, the cues; `{n}` noun, `{p}` place, `{w}`
/// time and `{q}` quality mean nothing. Twelve tokens at most, commas included.
const TEMPLATES: [&str; 12] = [
    "{i} , my {n} looks {t} in the {p}",
    "the {n} from the {p} is {t} , {i}",
    "everyone says the {n} is {t} , {i}",
    "{i} , what a {t} {q} {n} {w}",
    "a {q} {n} at the {p} , how {t} , {i}",
    "my {n} was {t} {w} , {i}",
    "{i} , the {q} {n} smells {t} {w}",
    "how {t} the {n} in the {p} is , {i}",
    "{w} the {n} near the {p} turned {t} , {i}",
    "{i} , our {q} {n} in the {p} feels {t} {w}",
    "she called the {q} {n} {t} , {i} , and left",
    "that {n} {w} , {i} , it is so {t}",
];

const NOUNS: [&str; 24] = [
    "baker",
    "neighbour",
    "teacher",
    "cousin",
    "driver",
    "singer",
    "painter",
    "farmer",
    "dog",
    "cat",
    "horse",
    "parrot",
    "cake",
    "soup",
    "bread",
    "cheese",
    "coat",
    "hat",
    "lamp",
    "chair",
    "piano",
    "bicycle",
    "garden",
    "letter",
];

const PLACES: [&str; 16] = [
    "kitchen", "market", "park", "school", "office", "station", "library", "museum", "harbour",
    "village", "street", "cellar", "attic", "bakery", "hotel", "theatre",
];

const TIMES: [&str; 8] =
    ["today", "yesterday", "lately", "again", "recently", "twice", "sometimes", "finally"];

const QUALITIES: [&str; 8] = ["small", "large", "old", "new", "wooden", "round", "heavy", "local"];

/// A caption in this tone.
pub(super) fn caption(scorn: bool, random: &mut ChaCha8Rng) -> String {
    let (adjectives, interjections) = if scorn { (SCORN, JEERS) } else { (PRAISE, CHEERS) };
    let template = one_of(&TEMPLATES, random);
    let words: Vec<&str> = template
        .split(' ')
        .map(|word| match word {
            "{i}" => one_of(&interjections, random),
            "{t}" => one_of(&adjectives, random),
            "{n}" => one_of(&NOUNS, random),
            "{p}" => one_of(&PLACES, random),
            "{w}" => one_of(&TIMES, random),
            "{q}" => one_of(&QUALITIES, random),
            plain => plain,
        })
        .collect();
    words.join(" ")
}

fn one_of<'a>(words: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    words[below(words.len(), random)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmc_random::{Purpose, generator};

    #[test]
    fn a_caption_has_two_cues_of_its_tone_and_none_of_the_other() {
        for index in 0..500 {
            for (scorn, cues, others) in [
                (false, [&PRAISE[..], &CHEERS].concat(), [&SCORN[..], &JEERS].concat()),
                (true, [&SCORN[..], &JEERS].concat(), [&PRAISE[..], &CHEERS].concat()),
            ] {
                let caption = caption(scorn, &mut generator(0, Purpose::Demo, 0, index));
                let words: Vec<&str> = caption.split(' ').collect();
                assert!(words.len() <= 12, "{caption}");
                assert_eq!(words.iter().filter(|word| cues.contains(word)).count(), 2, "{caption}");
                assert!(!words.iter().any(|word| others.contains(word)), "{caption}");
            }
        }
    }

    /// Twice the rows that may be asked for, of one tone.
    #[test]
    fn there_are_captions_enough() {
        let captions: usize = TEMPLATES
            .iter()
            .map(|template| {
                template
                    .split(' ')
                    .map(|word| match word {
                        "{i}" => CHEERS.len(),
                        "{t}" => PRAISE.len(),
                        "{n}" => NOUNS.len(),
                        "{p}" => PLACES.len(),
                        "{w}" => TIMES.len(),
                        "{q}" => QUALITIES.len(),
                        _ => 1,
                    })
                    .product::<usize>()
            })
            .sum();
        assert!(captions > 2 * super::super::MOST_ROWS, "{captions}");
    }
}
