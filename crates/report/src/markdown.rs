//! Blocks of a page as Markdown. No figure is computed here.

use std::fmt::Write as _;

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Level and text.
    Heading(usize, String),
    Paragraph(String),
    List(Vec<String>),
    Table(Table),
    /// Lines to be copied.
    Code(String),
}

/// A table with its caption above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) fn render(page: &[Block]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (at, block) in page.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        match block {
            Block::Heading(level, words) => writeln!(text, "{} {words}", "#".repeat(*level))?,
            Block::Paragraph(words) => writeln!(text, "{words}")?,
            Block::List(lines) => {
                for line in lines {
                    writeln!(text, "- {line}")?;
                }
            }
            Block::Code(lines) => writeln!(text, "```console\n{lines}\n```")?,
            Block::Table(table) => {
                writeln!(text, "*{}*\n", table.caption)?;
                row(&mut text, &table.header)?;
                // The first column holds names, the others figures.
                let rule = table.header.iter().enumerate();
                let rule = rule.map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned());
                row(&mut text, &rule.collect::<Vec<_>>())?;
                for cells in &table.rows {
                    row(&mut text, cells)?;
                }
            }
        }
    }
    Ok(text)
}

fn row(text: &mut String, cells: &[String]) -> std::fmt::Result {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(text, "| {} |", cells.join(" | "))
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
        };
        let page = [Block::Heading(2, "Scores".to_owned()), Block::Table(table)];
        assert_eq!(
            render(&page).unwrap(),
            "## Scores\n\n*On test*\n\n| model | score |\n| --- | ---: |\n| a\\|b | 0.5 |\n"
        );
    }
}
