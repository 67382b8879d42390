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

choice! {
    /// How training pictures are changed at random, anew in every epoch.
    Augment ("augmentation") {
        /// Not at all.
        #[default]
        None = "none",
        /// A piece of at least 0.8 of the area, brightness, contrast and saturation times 0.8 to 1.2.
        Light = "light",
        /// The same, and half of the pictures mirrored.
        LightFlip = "light-flip",
    }
}

choice! {
    /// The type of matrix products in training; all else is f32.
    Precision ("precision") {
        /// 32 bits.
        #[default]
        F32 = "f32",
        /// bfloat16.
        Bf16 = "bf16",
        /// IEEE half.
        F16 = "f16",
    }
}

/// How many layers of each encoder keep their input alone, from the first on, and are computed again
/// in the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GradientCheckpointing {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// So many.
    Layers(usize),
}

impl GradientCheckpointing {
    /// The number of layers; more than there are means all.
    #[must_use]
    pub fn layers(self) -> usize {
        match self {
            Self::None => 0,
            Self::All => usize::MAX,
            Self::Layers(layers) => layers,
        }
    }
}

impl fmt::Display for GradientCheckpointing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::All => formatter.write_str("all"),
            Self::Layers(layers) => write!(formatter, "{layers}"),
        }
    }
}

impl FromStr for GradientCheckpointing {
    type Err = RunError;

    fn from_str(word: &str) -> Result<Self, RunError> {
        match word {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            _ => {
                if let Ok(layers) = word.parse() {
                    return Ok(Self::Layers(layers));
                }
                let known = &["all", "none", "a number"];
                Err(RunError::unknown("gradient checkpointing", word, known))
            }
        }
    }
}

impl Serialize for GradientCheckpointing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::All => serializer.serialize_bool(true),
            Self::Layers(layers) => serializer.serialize_u64(*layers as u64),
        }
    }
}

impl<'de> Deserialize<'de> for GradientCheckpointing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchOrNumber;
        impl serde::de::Visitor<'_> for SwitchOrNumber {
            type Value = GradientCheckpointing;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`true`, `false` or a number of layers")
            }
            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(if on { GradientCheckpointing::All } else { GradientCheckpointing::None })
            }
            fn visit_i64<E: serde::de::Error>(self, layers: i64) -> Result<Self::Value, E> {
                let layers = usize::try_from(layers).map_err(E::custom)?;
                Ok(GradientCheckpointing::Layers(layers))
            }
            fn visit_u64<E: serde::de::Error>(self, layers: u64) -> Result<Self::Value, E> {
                let layers = usize::try_from(layers).map_err(E::custom)?;
                Ok(GradientCheckpointing::Layers(layers))
            }
        }
        deserializer.deserialize_any(SwitchOrNumber)
    }
}

/// What the loss is multiplied by before the backward pass: a number, or one that a run finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScale {
    /// Halved where gradients overflow, doubled after many steps without.
    Dynamic,
    /// Always this.
    Fixed(f64),
}

impl fmt::Display for LossScale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic => formatter.write_str("dynamic"),
            Self::Fixed(scale) => write!(formatter, "{scale}"),
        }
    }
}

impl FromStr for LossScale {
    type Err = RunError;

    fn from_str(word: &str) -> Result<Self, RunError> {
        match word.parse() {
            _ if word == "dynamic" => Ok(Self::Dynamic),
            Ok(scale) => Ok(Self::Fixed(scale)),
            Err(_) => Err(RunError::unknown("loss scale", word, &["dynamic", "a number"])),
        }
    }
}

impl Serialize for LossScale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dynamic => serializer.serialize_str("dynamic"),
            Self::Fixed(scale) => serializer.serialize_f64(*scale),
        }
    }
}

impl<'de> Deserialize<'de> for LossScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNumber;
        impl serde::de::Visitor<'_> for WordOrNumber {
            type Value = LossScale;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`dynamic` or a number")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<LossScale, E> {
                word.parse().map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, scale: f64) -> Result<LossScale, E> {
                Ok(LossScale::Fixed(scale))
            }
            fn visit_i64<E: serde::de::Error>(self, scale: i64) -> Result<LossScale, E> {
                Ok(LossScale::Fixed(scale as f64))
            }
            fn visit_u64<E: serde::de::Error>(self, scale: u64) -> Result<LossScale, E> {
                Ok(LossScale::Fixed(scale as f64))
            }
        }
        deserializer.deserialize_any(WordOrNumber)
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
        for word in Precision::WORDS {
            assert_eq!(word.parse::<Precision>().unwrap().to_string(), *word);
        }
        assert_eq!(Precision::default(), Precision::F32);
        assert_eq!(ClassWeights::default(), ClassWeights::None);
        assert_eq!(Freeze::default(), Freeze::None);
    }

    #[test]
    fn a_loss_scale_is_a_word_or_a_number() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            loss_scale: LossScale,
        }
        for (text, scale) in [
            ("loss_scale = \"dynamic\"", LossScale::Dynamic),
            ("loss_scale = 1024", LossScale::Fixed(1024.0)),
            ("loss_scale = 0.5", LossScale::Fixed(0.5)),
        ] {
            let file: File = toml::from_str(text).unwrap();
            assert_eq!(file, File { loss_scale: scale });
            let written = toml::to_string(&file).unwrap();
            assert_eq!(toml::from_str::<File>(&written).unwrap(), file);
            assert_eq!(scale.to_string().parse::<LossScale>().unwrap(), scale);
        }
        let error = "dinamic".parse::<LossScale>().unwrap_err().to_string();
        assert!(error.contains("`dynamic`"), "{error}");
    }

    #[test]
    fn gradient_checkpointing_is_a_switch_or_a_number() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Layers {
            gradient_checkpointing: GradientCheckpointing,
        }
        for (text, layers, word) in [
            ("gradient_checkpointing = true", usize::MAX, "all"),
            ("gradient_checkpointing = false", 0, "none"),
            ("gradient_checkpointing = 3", 3, "3"),
        ] {
            let file: Layers = toml::from_str(text).unwrap();
            assert_eq!(file.gradient_checkpointing.layers(), layers);
            assert_eq!(toml::to_string(&file).unwrap().trim_end(), text);
            assert_eq!(word.parse::<GradientCheckpointing>().unwrap(), file.gradient_checkpointing);
            assert_eq!(file.gradient_checkpointing.to_string(), word);
        }
    }
}
