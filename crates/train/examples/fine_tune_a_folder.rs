//! How do I fine-tune a model on a folder of my own with `train.csv`, `val.csv` and `test.csv`?
//!
//!     cargo run --release -p mmc-train --example fine_tune_a_folder -- data/emoji bert-tiny run
//!
//! Run it again with the same words after stopping it: it goes on where it was.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{Outcome, Progress, resolve, train};

#[allow(clippy::print_stdout, reason = "an example shows what it found")]
fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [data, model, out] = given.as_slice() else {
        return Err("expected a folder of data, a model and a folder to write".into());
    };
    let asked = PartialSettings {
        model: Some(model.clone()),
        dataset: Some("table".to_owned()),
        data_root: Some(data.clone()),
        ..PartialSettings::default()
    };
    let plan = resolve(PartialSettings::default(), asked)?;
    let folder = RunFolder::resume(Path::new(out))?;
    let outcome = train(&plan, &folder, &AtomicBool::new(false), &mut |event| match event {
        Progress::Note(note) => println!("note: {note}"),
        Progress::Evaluated { record, .. } => {
            println!("epoch {}: {:?}", record.epoch, record.scores["accuracy"]);
        }
        _ => {}
    })?;
    match outcome {
        Outcome::Finished(finished) => {
            for (split, scores) in &finished.scores {
                println!("{split}: accuracy {:?} of {} items", scores.value("accuracy"), scores.n);
            }
        }
        Outcome::AlreadyComplete => println!("{out} is complete"),
        Outcome::Interrupted { step } => println!("stopped after step {step}"),
        Outcome::Shared => println!("rank 0 has the results"),
    }
    Ok(())
}
