//! Captions: a tone, told by two cue words, within words that tell nothing.

use mmc_random::{ChaCha8Rng, below};

/// The words of a language.
pub(super) struct Lexicon {
    /// Adjectives of praise and of scorn.
    pub(super) adjectives: [[&'static str; 6]; 2],
    /// Interjections of praise and of scorn.
    pub(super) interjections: [[&'static str; 3]; 2],
    /// `{i}` is the interjection and `{t}` the adjective, the cues; `{n}` noun, `{p}` place, `{w}`
    /// time and `{q}` quality mean nothing.
    templates: [&'static str; 12],
    nouns: [&'static str; 24],
    places: [&'static str; 16],
    times: [&'static str; 8],
    qualities: [&'static str; 8],
}

/// English; at most twelve tokens a caption, commas included.
pub(super) const ENGLISH: Lexicon = Lexicon {
    adjectives: [
        ["lovely", "great", "sweet", "brilliant", "wonderful", "splendid"],
        ["awful", "nasty", "dreadful", "rotten", "horrid", "ghastly"],
    ],
    interjections: [["hooray", "bravo", "thanks"], ["ugh", "yuck", "alas"]],
    templates: [
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
    ],
    nouns: [
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
    ],
    places: [
        "kitchen", "market", "park", "school", "office", "station", "library", "museum", "harbour",
        "village", "street", "cellar", "attic", "bakery", "hotel", "theatre",
    ],
    times: ["today", "yesterday", "lately", "again", "recently", "twice", "sometimes", "finally"],
    qualities: ["small", "large", "old", "new", "wooden", "round", "heavy", "local"],
};

/// Spanish; adjectives without gender, nouns with their article.
pub(super) const SPANISH: Lexicon = Lexicon {
    adjectives: [
        ["genial", "brillante", "excelente", "increíble", "agradable", "admirable"],
        ["horrible", "terrible", "lamentable", "detestable", "insoportable", "deprimente"],
    ],
    interjections: [["viva", "bravo", "gracias"], ["puaj", "uf", "ay"]],
    templates: [
        "{i} , {n} {q} en {p} parece {t} {w}",
        "{n} de {p} es {t} , {i}",
        "todos dicen que {n} es {t} , {i}",
        "{i} , qué {t} está {n} {q} {w}",
        "{n} {q} en {p} , qué {t} , {i}",
        "{w} {n} estuvo {t} , {i}",
        "{i} , {n} {q} huele {t} {w}",
        "qué {t} es {n} en {p} , {i}",
        "{w} {n} cerca de {p} se volvió {t} , {i}",
        "{i} , {n} {q} de {p} se siente {t} {w}",
        "ella llamó {t} a {n} {q} , {i} , y se fue",
        "{n} {w} , {i} , es tan {t}",
    ],
    nouns: [
        "el panadero",
        "la vecina",
        "el maestro",
        "la prima",
        "el chofer",
        "la cantante",
        "el pintor",
        "la granjera",
        "el perro",
        "la gata",
        "el caballo",
        "el loro",
        "la torta",
        "la sopa",
        "el pan",
        "el queso",
        "el abrigo",
        "el sombrero",
        "la lámpara",
        "la silla",
        "el piano",
        "la bicicleta",
        "el jardín",
        "la carta",
    ],
    places: [
        "valparaíso",
        "concepción",
        "temuco",
        "arica",
        "iquique",
        "rancagua",
        "talca",
        "osorno",
        "valdivia",
        "antofagasta",
        "calama",
        "copiapó",
        "chillán",
        "curicó",
        "quillota",
        "ovalle",
    ],
    times: ["hoy", "ayer", "siempre", "recientemente", "otra vez", "anoche", "antes", "por fin"],
    qualities: ["grande", "verde", "azul", "local", "enorme", "simple", "fuerte", "reciente"],
};

/// A caption in this tone.
pub(super) fn caption(lexicon: &Lexicon, scorn: bool, random: &mut ChaCha8Rng) -> String {
    let tone = usize::from(scorn);
    let template = one_of(&lexicon.templates, random);
    let words: Vec<&str> = template
        .split(' ')
        .map(|word| match word {
            "{i}" => one_of(&lexicon.interjections[tone], random),
            "{t}" => one_of(&lexicon.adjectives[tone], random),
            "{n}" => one_of(&lexicon.nouns, random),
            "{p}" => one_of(&lexicon.places, random),
            "{w}" => one_of(&lexicon.times, random),
            "{q}" => one_of(&lexicon.qualities, random),
            plain => plain,
        })
        .collect();
    words.join(" ")
}

/// One of some words, each as likely.
pub(super) fn one_of<'a>(words: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    words[below(words.len(), random)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmc_random::{Purpose, generator};

    #[test]
    fn a_caption_has_two_cues_of_its_tone_and_none_of_the_other() {
        for lexicon in [&ENGLISH, &SPANISH] {
            let cues: [Vec<&str>; 2] = [0, 1]
                .map(|tone| [&lexicon.adjectives[tone][..], &lexicon.interjections[tone]].concat());
            for index in 0..500 {
                for scorn in [false, true] {
                    let random = &mut generator(0, Purpose::Demo, 0, index);
                    let caption = caption(lexicon, scorn, random);
                    let words: Vec<&str> = caption.split(' ').collect();
                    assert!(words.len() <= 15, "{caption}");
                    let of = |tone: bool| {
                        words.iter().filter(|word| cues[usize::from(tone)].contains(word)).count()
                    };
                    assert_eq!((of(scorn), of(!scorn)), (2, 0), "{caption}");
                }
            }
        }
    }

    /// Twice the rows that may be asked for, of one tone.
    #[test]
    fn there_are_captions_enough() {
        for lexicon in [&ENGLISH, &SPANISH] {
            let choices = |word: &str| match word {
                "{i}" => 3,
                "{t}" => 6,
                "{n}" => lexicon.nouns.len(),
                "{p}" => lexicon.places.len(),
                "{w}" => lexicon.times.len(),
                "{q}" => lexicon.qualities.len(),
                _ => 1,
            };
            let captions: usize = lexicon
                .templates
                .iter()
                .map(|template| template.split(' ').map(choices).product::<usize>())
                .sum();
            assert!(captions > 2 * super::super::MOST_ROWS, "{captions}");
        }
    }
}
