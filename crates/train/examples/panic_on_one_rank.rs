//! What becomes of the other ranks when one panics in the middle of a run?
//!
//! ```text
//! mpirun -n 4 panic_on_one_rank data/emoji runs/panic
//! ```
//!
//! Built with the feature `mpi`. Rank 1 panics at the fifth step, where the others wait for it; all end.
#![allow(
    clippy::print_stderr,
    clippy::panic,
    reason = "a program that is there to panic, and says so"
)]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{Progress, Session, resolve, train};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [data, out] = words.as_slice() else { return Err("give DATA and OUT".into()) };
    let session = Session::begin()?;
    let ranks = session.ranks();
    let asked = PartialSettings {
        model: Some("bert-tiny".to_owned()),
        dataset: Some("table".to_owned()),
        data_root: Some(data.clone()),
        shard_rows: Some(4),
        ..PartialSettings::default()
    };
    let plan = resolve(PartialSettings::default(), asked)?.among(ranks.clone())?;
    let own = format!("{out}-rank-{}", ranks.rank());
    let folder = RunFolder::create(Path::new(&own))?;
    train(&plan, &folder, &AtomicBool::new(false), &mut |news| {
        if let Progress::Step { record, .. } = news {
            assert!(record.step < 5 || ranks.rank() != 1, "rank 1 panics at step 5");
        }
    })?;
    eprintln!("rank {} went on to the end", ranks.rank());
    Ok(())
}
