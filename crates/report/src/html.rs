//! A document as one HTML page that needs nothing else: no script, no font, no style, no picture from
//! anywhere, and a policy that keeps browsers from asking.
//!
//! Everything is written by `maud`, which escapes whatever is not markup of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::document::{Block, Card, Span, Table, spans};
use crate::plot::{Figure, draw};

const STYLE: &str = include_str!("html/style.css");

pub(crate) fn render(page: &[Block]) -> String {
    let title = page.iter().find_map(|block| match block {
        Block::Heading(1, words) => Some(words.as_str()),
        _ => None,
    });
    let first = page.iter().position(|block| matches!(block, Block::Heading(2, _)));
    let (opening, rest) = page.split_at(first.unwrap_or(page.len()));
    let sections: Vec<&[Block]> = sections(rest);
    let mut figures = 0;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title.unwrap_or("Report")) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#content" { "To the content" }
                header { @for block in opening { (shown(block, &mut figures)) } }
                nav aria-label="Sections" {
                    ul {
                        @for section in &sections {
                            @if let Some(Block::Heading(_, words)) = section.first() {
                                li { a href={ "#" (anchor(words)) } { (words) } }
                            }
                        }
                    }
                }
                main id="content" {
                    @for section in &sections {
                        section { @for block in *section { (shown(block, &mut figures)) } }
                    }
                }
            }
        }
    }
    .into_string()
}

/// Nothing is loaded from anywhere; the one style sheet is the one whose hash this is.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

/// Blocks cut before each heading of the second level.
fn sections(mut rest: &[Block]) -> Vec<&[Block]> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let next = rest.iter().skip(1).position(|block| matches!(block, Block::Heading(2, _)));
        let (section, after) = rest.split_at(next.map_or(rest.len(), |at| at + 1));
        found.push(section);
        rest = after;
    }
    found
}

/// What a heading is pointed at by.
fn anchor(words: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    words.chars().map(letter).collect()
}

fn shown(block: &Block, figures: &mut usize) -> Markup {
    html! {
        @match block {
            Block::Heading(1, words) => h1 { (inline(words)) },
            Block::Heading(2, words) => h2 id=(anchor(words)) { (inline(words)) },
            Block::Heading(_, words) => h3 { (inline(words)) },
            Block::Banner(words) => p class="banner" role="note" { (inline(words)) },
            Block::Answer(words) => p class="answer" { (inline(words)) },
            Block::Verdict(word) => p class={ "verdict verdict-" (anchor(word)) } {
                "verdict: " strong { (word) }
            },
            Block::Paragraph(words) => p { (inline(words)) },
            Block::List(lines) => ul { @for line in lines { li { (inline(line)) } } },
            Block::Alarms(lines) => ul class="alarms" { @for line in lines { li { (inline(line)) } } },
            Block::Code(lines) => pre tabindex="0" { code { (lines) } },
            Block::Table(table) if table.folded => details {
                summary { (inline(&table.caption)) }
                (grid(table))
            },
            Block::Table(table) => {
                p class="caption" { (inline(&table.caption)) }
                (grid(table))
            },
            Block::Figure(figure) => (drawn(figure, figures)),
            Block::Gallery(cards) => div class="gallery" { @for card in cards { (shown_card(card)) } },
        }
    }
}

/// A table that scrolls inside itself where the window is narrow.
fn grid(table: &Table) -> Markup {
    // A column of figures has its name over them.
    let is_numeric = |column: usize| {
        let cells = || table.rows.iter().filter_map(|row| row.get(column));
        column > 0 && cells().next().is_some() && cells().all(|cell| is_figure(cell))
    };
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(without_marks(&table.caption)) {
            table {
                thead {
                    tr {
                        @for (at, name) in table.header.iter().enumerate() {
                            th scope="col" class=[is_numeric(at).then_some("figure")] {
                                (inline(name))
                            }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 {
                                    th scope="row" { (inline(cell)) }
                                } @else if is_figure(cell) {
                                    td class="figure" { (inline(cell)) }
                                } @else {
                                    td class=[(cell.chars().count() > 28).then_some("long")] {
                                        (inline(cell))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a cell is a number, an interval or the dash of what is absent.
fn is_figure(cell: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit() || "+-−–[<".contains(c);
    cell.chars().next().is_none_or(digits) && cell.chars().count() < 48
}

fn drawn(figure: &Figure, figures: &mut usize) -> Markup {
    *figures += 1;
    html! {
        figure {
            figcaption { (inline(&figure.caption)) }
            div class="scroll" tabindex="0" role="region" aria-label=(without_marks(&figure.caption)) {
                (draw(figure, *figures))
            }
            details class="words" {
                summary { "The figure in words" }
                p { (inline(&figure.description)) }
            }
        }
    }
}

fn shown_card(card: &Card) -> Markup {
    html! {
        article class="card" {
            @match &card.picture {
                Some(picture) => img alt={ "The picture of " (card.title) }
                    src=(picture.address());,
                None => p class="no-picture" { "no picture" },
            }
            h3 { (card.title) }
            p class="item-text" { (card.text) }
            ul { @for line in &card.lines { li { (inline(line)) } } }
        }
    }
}

fn inline(words: &str) -> Markup {
    html! {
        @for span in spans(words) {
            @match span {
                Span::Plain(words) => (words),
                Span::Code(words) => code { (words) },
                Span::Strong(words) => strong { (words) },
            }
        }
    }
}

fn without_marks(words: &str) -> String {
    words.replace(['`', '*'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_files_are_words() {
        let hostile = "</style><script>alert(1)</script>\" onload=\"x";
        let table = Table {
            caption: hostile.to_owned(),
            header: vec![hostile.to_owned()],
            rows: vec![vec![hostile.to_owned(), format!("`{hostile}`")]],
            folded: true,
        };
        let card = Card {
            title: hostile.to_owned(),
            text: hostile.to_owned(),
            picture: None,
            lines: vec![hostile.to_owned()],
        };
        let page = render(&[
            Block::Heading(1, hostile.to_owned()),
            Block::Banner(hostile.to_owned()),
            Block::Answer(hostile.to_owned()),
            Block::Heading(2, hostile.to_owned()),
            Block::Alarms(vec![hostile.to_owned()]),
            Block::Table(table),
            Block::Gallery(vec![card]),
            Block::Code(hostile.to_owned()),
        ]);
        assert!(!page.contains("<script") && !page.contains("onload=\"x"), "{page}");
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = render(&[Block::Heading(1, "A".to_owned())]);
        assert!(page.contains("default-src 'none'"));
        for ask in ["http://", "https://", "url(", "@import", "<script", "style=\""] {
            assert!(!page.contains(ask), "{ask}");
        }
    }

    #[test]
    fn every_section_is_pointed_at() {
        let page = render(&[
            Block::Heading(1, "A".to_owned()),
            Block::Heading(2, "Gain over text".to_owned()),
            Block::Paragraph("x".to_owned()),
            Block::Heading(2, "Cost".to_owned()),
        ]);
        assert!(
            page.contains("href=\"#gain-over-text\"") && page.contains("id=\"gain-over-text\"")
        );
        assert_eq!(page.matches("<section>").count(), 2);
    }
}
