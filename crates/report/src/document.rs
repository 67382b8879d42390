//! A report as a document: blocks of numbers and words, without any of the looks that Markdown and
//! HTML give them.

use crate::plot::Figure;

/// A part of a report. Words may hold `` `code` `` and `**strong**`; whatever comes from a file
/// went through [`plain`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    /// Level and text.
    Heading(usize, String),
    /// What everybody must read before any figure: that these are not real data.
    Banner(String),
    /// The answer in one sentence.
    Answer(String),
    /// The line that other programs look for.
    Verdict(String),
    Paragraph(String),
    List(Vec<String>),
    /// What a reader must be warned of; never empty.
    Alarms(Vec<String>),
    Table(Table),
    /// Drawn in HTML alone; a table beside it has its figures.
    Figure(Figure),
    /// Items with their pictures; in Markdown a table.
    Gallery(Vec<Card>),
    /// Lines to be copied.
    Code(String),
}

/// A table with its caption above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Long, and of use to few: shut in HTML until it is asked for.
    pub(crate) folded: bool,
}

/// An item of the test split with what models made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) title: String,
    pub(crate) text: String,
    /// Absent: the item has no picture, or it could not be read.
    pub(crate) picture: Option<Picture>,
    pub(crate) lines: Vec<String>,
}

/// A small picture that the page itself holds, as a `data:` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture(String);

impl Picture {
    /// Of an address as a file has it; `None` of any other than a JPEG or PNG in base64.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let data = ["data:image/jpeg;base64,", "data:image/png;base64,"]
            .into_iter()
            .find_map(|kind| address.strip_prefix(kind))?;
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        (!data.is_empty() && data.chars().all(is_base64)).then(|| Self(address.to_owned()))
    }

    pub(crate) fn address(&self) -> &str {
        &self.0
    }
}

/// Words that somebody else wrote (an id, a label, a log's last line) as words of one line that
/// begin no code and no emphasis.
pub(crate) fn plain(words: &str) -> String {
    let kept = words.chars().map(|c| match c {
        '`' => '\'',
        '*' => '∗',
        c if c.is_control() || is_bidirectional(c) => ' ',
        c => c,
    });
    kept.collect()
}

/// Marks that make the words around them read in another order than they stand.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A piece of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'a> {
    Plain(&'a str),
    Code(&'a str),
    Strong(&'a str),
}

/// Words cut at their marks; a mark without its partner is a letter like any other.
pub(crate) fn spans(words: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let mark = [("`", rest.find('`')), ("**", rest.find("**"))]
            .into_iter()
            .filter_map(|(mark, at)| Some((at?, mark)))
            .min();
        let Some((at, mark)) = mark else { break };
        let inside = &rest[at + mark.len()..];
        let Some(end) = inside.find(mark) else {
            // Nothing closes it: it and what comes before it are plain.
            let end = at + mark.len();
            found.push(Span::Plain(&rest[..end]));
            rest = inside;
            continue;
        };
        if at > 0 {
            found.push(Span::Plain(&rest[..at]));
        }
        let words = &inside[..end];
        found.push(if mark == "`" { Span::Code(words) } else { Span::Strong(words) });
        rest = &inside[end + mark.len()..];
    }
    if !rest.is_empty() {
        found.push(Span::Plain(rest));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_their_marks() {
        use Span::{Code, Plain, Strong};
        assert_eq!(
            spans("a `b` **c** d"),
            [Plain("a "), Code("b"), Plain(" "), Strong("c"), Plain(" d")]
        );
        assert_eq!(spans("`a` ` b"), [Code("a"), Plain(" `"), Plain(" b")]);
        assert_eq!(spans("``"), [Code("")]);
        assert_eq!(spans(""), []);
    }

    #[test]
    fn a_picture_is_data_and_nothing_else() {
        let address = "data:image/jpeg;base64,/9j/4AA=";
        assert_eq!(Picture::of(address).unwrap().address(), address);
        for other in [
            "https://example.org/a.jpg",
            "data:image/svg+xml;base64,AAAA",
            "data:text/html;base64,AAAA",
            "data:image/png;base64,",
            "data:image/png;base64,AA\" onload=\"x",
        ] {
            assert_eq!(Picture::of(other), None, "{other}");
        }
    }

    #[test]
    fn what_others_wrote_marks_nothing() {
        assert_eq!(plain("a`b\n**c** \u{202e}d"), "a'b ∗∗c∗∗  d");
    }
}
