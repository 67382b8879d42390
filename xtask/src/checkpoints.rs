//! `cargo xtask checkpoints`: small trained models that lie beside the sources, so that `mmc
//! predict` has something to predict with before anything was trained.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::experiment::build;
use crate::failure::{Failure, workspace};
use crate::readme::cut;

const BEGIN: &str = "<!-- scores:begin -->";
const END: &str = "<!-- scores:end -->";
const DATA: &str = "data/emoji";

/// How a checkpoint is trained. Of the settings that were tried these have the highest accuracy on
/// the selection split; none takes more than a minute.
struct Recipe {
    name: &'static str,
    model: &'static str,
    epochs: u32,
    learning_rate: &'static str,
    dropout: &'static str,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "bert-tiny-emoji",
        model: "bert-tiny",
        epochs: 40,
        learning_rate: "4e-3",
        dropout: "0.3",
    },
    Recipe {
        name: "vilt-tiny-emoji",
        model: "vilt-tiny",
        epochs: 40,
        learning_rate: "2e-3",
        dropout: "0.1",
    },
];

/// Trains every checkpoint anew and writes it, its predictions of the test split and its scores to
/// `data/checkpoints`.
pub(crate) fn remake() -> Result<(), Failure> {
    let root = workspace();
    let mmc = build(&root, "dev")?;
    let home = root.join("data/checkpoints");
    let mut rows = String::from("| checkpoint | trained with | val | test |\n");
    rows += "| --- | --- | ---: | ---: |\n";
    for recipe in RECIPES {
        rows += &recipe.remake(&mmc, &root, &home)?;
    }
    let path = home.join("README.md");
    let readme = fs::read_to_string(&path)?;
    let (before, rest) = cut(&readme, BEGIN)?;
    let (_, after) = cut(rest, END)?;
    fs::write(&path, format!("{before}{BEGIN}\n\n{rows}\n{END}{after}"))?;
    Ok(())
}

impl Recipe {
    fn settings(&self) -> String {
        format!(
            "--epochs {} --learning-rate {} --dropout {}",
            self.epochs, self.learning_rate, self.dropout
        )
    }

    /// Trains it and gives its row of the table.
    fn remake(&self, mmc: &Path, root: &Path, home: &Path) -> Result<String, Failure> {
        let scratch = tempfile::tempdir()?;
        let run = scratch.path().join("run");
        let run_words = format!("--dataset table --data-root {DATA} {}", self.settings());
        ask(Command::new(mmc)
            .args(["train", "--model", self.model])
            .args(run_words.split(' '))
            .arg("--out")
            .arg(&run)
            .current_dir(root))?;
        let folder = home.join(self.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(run.join("checkpoint"))? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        // Written aside, since `mmc` overwrites nothing.
        let predictions = format!("{}.test.csv", self.name);
        let made = scratch.path().join(&predictions);
        ask(Command::new(mmc)
            .args(["predict", "--checkpoint"])
            .arg(&folder)
            .args(["--input", &format!("{DATA}/test.csv"), "--out"])
            .arg(&made)
            .current_dir(root))?;
        fs::copy(made, home.join(predictions))?;
        let scores: Value = serde_json::from_str(&fs::read_to_string(run.join("scores.json"))?)?;
        let accuracy = |split: &str| scores[split]["accuracy"].as_f64().unwrap_or(f64::NAN);
        let (val, test) = (accuracy("val"), accuracy("test"));
        let (name, model, settings) = (self.name, self.model, self.settings());
        Ok(format!("| `{name}` | `--model {model} {settings}` | {val:.3} | {test:.3} |\n"))
    }
}

fn ask(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::work(format!("`{}`: {status}, see above", command.get_program().display())))
}
