//! Words as a shell takes them.

/// A word of a command: as it is where nothing in it means anything to a shell, else in quotes.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_otherwise_is_quoted() {
        for (word, expected) in [
            ("results/a-1_b.toml", "results/a-1_b.toml"),
            ("my results", "'my results'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
            ("größe", "'größe'"),
        ] {
            assert_eq!(shell_word(word), expected);
        }
    }
}
