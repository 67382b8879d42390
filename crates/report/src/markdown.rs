//! A document as Markdown. No figure is computed here, and none is drawn.

use std::fmt::Write as _;

use crate::document::{Block, Span, Table, spans};

pub(crate) fn render(page: &[Block]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for block in page.iter().filter(|block| !matches!(block, Block::Figure(_))) {
        if !text.is_empty() {
            text.push('\n');
        }
        match block {
            Block::Heading(level, words) => {
                writeln!(text, "{} {}", "#".repeat(*level), escaped(words))?;
            }
            Block::Banner(words) | Block::Answer(words) => {
                writeln!(text, "**{}**", escaped(words))?;
            }
            Block::Verdict(word) => writeln!(text, "verdict: {word}")?,
            Block::Paragraph(words) => writeln!(text, "{}", escaped(words))?,
            Block::List(lines) | Block::Alarms(lines) => {
                for line in lines {
                    writeln!(text, "- {}", escaped(line))?;
                }
            }
            Block::Code(lines) => writeln!(text, "```console\n{lines}\n```")?,
            Block::Table(table) => write_table(&mut text, table)?,
            Block::Gallery(cards) => {
                for card in cards {
                    writeln!(text, "- **{}**: {}", escaped(&card.title), escaped(&card.text))?;
                    for line in &card.lines {
                        writeln!(text, "  - {}", escaped(line))?;
                    }
                }
            }
            Block::Figure(_) => {}
        }
    }
    Ok(text)
}

fn write_table(text: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(text, "*{}*\n", escaped(&table.caption))?;
    row(text, &table.header)?;
    // The first column holds names, the others figures.
    let rule = table.header.iter().enumerate();
    let rule = rule.map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned());
    row(text, &rule.collect::<Vec<_>>())?;
    for cells in &table.rows {
        row(text, cells)?;
    }
    Ok(())
}

fn row(text: &mut String, cells: &[String]) -> std::fmt::Result {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell).replace('|', "\\|")).collect();
    writeln!(text, "| {} |", cells.join(" | "))
}

/// Words in one line whose angle brackets open no HTML and whose brackets make no link or picture;
/// inside code nothing does.
fn escaped(words: &str) -> String {
    let line = words.replace(['\n', '\r'], " ");
    let plain = |words: &str| no_tags(words).replace("](", "]\\(").replace("][", "]\\[");
    spans(&line)
        .into_iter()
        .map(|span| match span {
            Span::Plain(words) => plain(words),
            Span::Code(words) => format!("`{words}`"),
            Span::Strong(words) => format!("**{}**", plain(words)),
        })
        .collect()
}

/// A bracket that would open a tag, a comment or an address escaped; `< 0.001` opens none.
fn no_tags(words: &str) -> String {
    let mut safe = String::with_capacity(words.len());
    for (at, letter) in words.char_indices() {
        let opens = |next: char| next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?');
        if letter == '<' && words[at + 1..].chars().next().is_some_and(opens) {
            safe.push('\\');
        }
        safe.push(letter);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_caption_and_escapes_bars() {
        let table = Table {
            caption: "On test".to_owned(),
            header: vec!["model".to_owned(), "score".to_owned()],
            rows: vec![vec!["a|b".to_owned(), "0.5".to_owned()]],
            folded: false,
        };
        let page = [Block::Heading(2, "Scores".to_owned()), Block::Table(table)];
        assert_eq!(
            render(&page).unwrap(),
            "## Scores\n\n*On test*\n\n| model | score |\n| --- | ---: |\n| a\\|b | 0.5 |\n"
        );
    }

    #[test]
    fn words_of_files_open_no_html_and_make_no_link() {
        let page = [Block::Paragraph("<b> `<c>` [x](http://y)\n# z < 0.1".to_owned())];
        assert_eq!(render(&page).unwrap(), "\\<b> `<c>` [x]\\(http://y) # z < 0.1\n");
    }
}
