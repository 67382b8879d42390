//! What computing costs the user.

use serde::{Deserialize, Serialize};

/// What computing costs and a right decision is worth to the user; what is absent is not guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// What an hour of computing costs, in whatever currency.
    pub price_per_hour: Option<f64>,
    /// What the machine draws at work, in watts.
    pub watts: Option<f64>,
    /// What one more correct decision is worth, in the currency of the price.
    pub value_per_correct: Option<f64>,
}

impl Prices {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is given here, and else what `other` has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            price_per_hour: self.price_per_hour.or(other.price_per_hour),
            watts: self.watts.or(other.watts),
            value_per_correct: self.value_per_correct.or(other.value_per_correct),
        }
    }

    /// What cannot be, a line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let given = [
            ("price_per_hour", self.price_per_hour),
            ("watts", self.watts),
            ("value_per_correct", self.value_per_correct),
        ];
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .filter(|(_, value)| !(*value > 0.0 && value.is_finite()))
            .map(|(name, value)| format!("`{name}` is `{value}`, expected a number above 0"))
            .collect()
    }
}
