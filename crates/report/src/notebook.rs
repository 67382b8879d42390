//! `analysis.ipynb`: a notebook that reads the files beside it and computes the gains again, with
//! code that shares nothing with mmc's.

use serde::Serialize;

use crate::caption::demo_words;
use crate::{ReportError, Verdict};

/// A notebook of format 4.5.
#[derive(Serialize)]
struct Notebook {
    cells: Vec<Cell>,
    metadata: Metadata,
    nbformat: u8,
    nbformat_minor: u8,
}

#[derive(Serialize)]
#[serde(tag = "cell_type", rename_all = "lowercase")]
enum Cell {
    Markdown {
        id: String,
        metadata: Empty,
        source: Vec<String>,
    },
    Code {
        execution_count: Option<u32>,
        id: String,
        metadata: Empty,
        outputs: Vec<Empty>,
        source: Vec<String>,
    },
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Metadata {
    kernelspec: Kernel,
    language_info: Language,
}

#[derive(Serialize)]
struct Kernel {
    display_name: &'static str,
    language: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
struct Language {
    name: &'static str,
}

const CELLS: &[(&str, &str)] = &[
    ("files", include_str!("notebook/files.py")),
    ("runs", include_str!("notebook/runs.py")),
    ("scores", include_str!("notebook/scores.py")),
    ("predictions", include_str!("notebook/predictions.py")),
    ("interval", include_str!("notebook/interval.py")),
    ("check", include_str!("notebook/check.py")),
    ("cost", include_str!("notebook/cost.py")),
];

/// The notebook of an experiment; nothing of the experiment's words is code in it.
pub(crate) fn notebook(verdict: &Verdict) -> Result<Vec<u8>, ReportError> {
    let name = crate::document::plain(&verdict.experiment.name).replace('<', "&lt;");
    let mut opening = format!("# Analysis of {name}\n\n");
    if let Some(demo) = demo_words(verdict) {
        let demo = crate::document::plain(&demo).replace('<', "&lt;");
        opening = format!(
            "# DEMO: analysis of {name}\n\n**{demo}. No figure below says anything about the real \
             data.**\n\n"
        );
    }
    opening += "Reads `runs.parquet`, `runs.csv`, `verdict.json` and the predictions in `runs/`, which \
                lie beside this notebook, and computes the gains and their intervals again from the \
                predictions. Needs `pandas`, `pyarrow`, `scipy` and `matplotlib`.";
    let mut cells = vec![Cell::Markdown {
        id: "opening".to_owned(),
        metadata: Empty {},
        source: lines(&opening),
    }];
    for (id, text) in CELLS {
        // The first line, a comment, is the heading; the rest is the code.
        let (heading, code) = text.split_once('\n').unwrap_or((text, ""));
        let heading = format!("## {}", heading.trim_start_matches('#').trim());
        cells.push(Cell::Markdown {
            id: format!("{id}-words"),
            metadata: Empty {},
            source: lines(&heading),
        });
        cells.push(Cell::Code {
            execution_count: None,
            id: (*id).to_owned(),
            metadata: Empty {},
            outputs: Vec::new(),
            source: lines(code.trim()),
        });
    }
    let notebook = Notebook {
        cells,
        metadata: Metadata {
            kernelspec: Kernel { display_name: "Python 3", language: "python", name: "python3" },
            language_info: Language { name: "python" },
        },
        nbformat: 4,
        nbformat_minor: 5,
    };
    let mut bytes = serde_json::to_vec_pretty(&notebook).map_err(|error| ReportError::Write {
        file: "analysis.ipynb",
        problem: error.to_string(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Lines that keep their ends, as the format has them.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}
