//! A command that several ranks run together: how each begins and how all end.

use std::time::Duration;

use mmc_train::Session;
use rayon::ThreadPoolBuilder;

use crate::failure::Failure;

/// What asks for a number of threads.
const THREADS: &str = "RAYON_NUM_THREADS";

/// For so long another rank than the first leaves it to the first to say what failed: what failed at
/// all is said once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives each rank its share of the machine's threads, unless it was told how many to take.
pub(crate) fn begin(session: &Session) -> Result<(), Failure> {
    let Some(threads) = session.threads()? else { return Ok(()) };
    let asked =
        std::env::var(THREADS).is_ok_and(|asked| asked.parse::<usize>().is_ok_and(|n| n > 0));
    if !asked {
        ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    if session.ranks().is_first() {
        let threads = rayon::current_num_threads();
        let count = session.ranks().count();
        tracing::info!("rank 0 of {count} computes with {threads} threads; {THREADS} changes that");
    }
    Ok(())
}

/// Ends the command. What fails at one rank ends all: the others would wait for it for ever.
pub(crate) fn end(session: &Session, outcome: Result<(), Failure>) -> Result<(), Failure> {
    let Err(failure) = outcome else { return Ok(()) };
    let ranks = session.ranks();
    if ranks.is_alone() {
        return Err(failure);
    }
    if !ranks.is_first() {
        std::thread::sleep(PATIENCE);
    }
    eprintln!("rank {} of {}: {failure}", ranks.rank(), ranks.count());
    session.stop_all(failure.code().into());
    Err(failure)
}
