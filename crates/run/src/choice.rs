//! Settings that are one of a few words: each an enum, read and written as its word.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::RunError;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident ($what:literal) {
        $($(#[$member_doc:meta])* $member:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$member_doc])* $member,)+
        }

        impl $name {
            /// Every value, as it is written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word for this value.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = RunError;

            fn from_str(word: &str) -> Result<Self, RunError> {
                match word {
                    $($word => Ok(Self::$member),)+
                    _ => Err(RunError::unknown($what, word, Self::WORDS)),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

choice! {
    /// How the learning rate falls after the warm-up.
    Schedule ("schedule") {
        /// Straight down to zero at the last step.
        #[default]
        Linear = "linear",
        /// Half a cosine down to zero at the last step.
        Cosine = "cosine",
        /// Not at all.
        Constant = "constant",
    }
}

choice! {
    /// How far the texts of a shard are padded.
    Pad ("padding") {
        /// To the longest text of the shard.
        #[default]
        Longest = "longest",
        /// To the maximal length.
        Max = "max",
    }
}

choice! {
    /// How classes weigh in the loss.
    ClassWeights ("kind of class weights") {
        /// All the same.
        #[default]
        None = "none",
        /// items / (classes × items of the class), over the training split.
        Balanced = "balanced",
    }
}

choice! {
    /// Which state of the model is kept as the run's checkpoint.
    Keep ("checkpoint to keep") {
        /// The best by the selection metric, the earliest on ties.
        #[default]
        Best = "best",
        /// That of the last step.
        Last = "last",
    }
}

choice! {
    /// What of the model stays as it is.
    Freeze ("part to freeze") {
        /// Nothing.
        #[default]
        None = "none",
        /// All but the head: a linear probe, or a head of more layers, on fixed representations.
        Backbone = "backbone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for word in Schedule::WORDS {
            assert_eq!(word.parse::<Schedule>().unwrap().to_string(), *word);
        }
        for word in Keep::WORDS {
            assert_eq!(word.parse::<Keep>().unwrap().to_string(), *word);
        }
        assert_eq!(Pad::default(), Pad::Longest);
        for word in Freeze::WORDS {
            assert_eq!(word.parse::<Freeze>().unwrap().to_string(), *word);
        }
        assert_eq!(ClassWeights::default(), ClassWeights::None);
        assert_eq!(Freeze::default(), Freeze::None);
    }
}
