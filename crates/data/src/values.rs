//! The values of a row as what they stand for: texts, ids and labels.

use crate::rows::Value;
use crate::scan::FieldError;

/// The most bytes of a text. No model reads more than some hundred words, and a tokenizer takes 300 times
/// the bytes in memory.
const MOST_TEXT_BYTES: usize = 1 << 20;

/// A text, which may be empty.
pub(crate) fn text_of(field: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value {
        Value::Absent => Ok(None),
        Value::Text(text) => plain(field, text).map(Some),
        Value::Bare(bare) => {
            Err((field.to_owned(), format!("`{field}` is `{bare}`, expected a string in quotes")))
        }
        Value::Nested => Err((
            field.to_owned(),
            format!("`{field}` is a list or an object, expected a string in quotes"),
        )),
        Value::Bytes(_) => {
            Err((field.to_owned(), format!("`{field}` is bytes, expected a string")))
        }
    }
}

/// The text, unless it is too long or has a NUL character: no text has one, but UTF-16 and damaged files are
/// full of them.
pub(crate) fn plain(field: &str, text: &str) -> Result<String, FieldError> {
    if text.len() > MOST_TEXT_BYTES {
        let words = format!(
            "`{field}` has {} bytes, more than {MOST_TEXT_BYTES}; models read no more than the first \
             hundreds of words, so shorten it",
            text.len()
        );
        return Err((field.to_owned(), words));
    }
    if text.contains('\0') {
        let words =
            "has a NUL character; the file may be damaged or saved as UTF-16: save it as UTF-8";
        return Err((field.to_owned(), format!("`{field}` {words}")));
    }
    Ok(text.to_owned())
}

/// Refuses a line break where only an open quote can have put it.
pub(crate) fn check_one_line(field: &str, value: &Value) -> Result<(), FieldError> {
    match value {
        Value::Text(text) if text.contains('\n') => Err((
            field.to_owned(),
            format!("`{field}` has a line break; if a quote was opened before it, close it"),
        )),
        _ => Ok(()),
    }
}

/// An id or a label: a string or a number, as the file writes it; `None` where empty.
pub(crate) fn name_of(field: &str, value: &Value) -> Result<Option<String>, FieldError> {
    match value {
        Value::Absent => Ok(None),
        Value::Text(text) | Value::Bare(text) => {
            Ok(Some(plain(field, text)?).filter(|name| !name.is_empty()))
        }
        Value::Nested => Err((
            field.to_owned(),
            format!("`{field}` is a list or an object, expected a string or a whole number"),
        )),
        Value::Bytes(_) => Err((
            field.to_owned(),
            format!("`{field}` is bytes, expected a string or a whole number"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_no_model_reads_is_refused_before_it_fills_the_memory() {
        let most = "a".repeat(MOST_TEXT_BYTES);
        assert!(text_of("text", &Value::Text(most.clone())).is_ok());
        let (field, words) = text_of("text", &Value::Text(most + "a")).unwrap_err();
        assert_eq!(field, "text");
        assert!(words.starts_with("`text` has 1048577 bytes, more than 1048576; "), "{words}");
    }
}
