//! Child processes with the processor time that they took.

use std::process::{Command, ExitStatus};

/// Runs a command to its end. Beside its status: seconds of processor time of all its threads, and
/// of the children it waited for; `None` where the system does not say.
#[cfg(unix)]
pub(crate) fn run(command: &mut Command) -> std::io::Result<(ExitStatus, Option<f64>)> {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    // The system counts the time of all children that ended, together, at the moment that each is
    // waited for. One at a time, what that moment adds is the time of this child.
    static ENDING: Mutex<()> = Mutex::new(());
    const PAUSE: Duration = Duration::from_millis(10);

    let mut child = command.spawn()?;
    loop {
        let ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = of_children();
        if let Some(status) = child.try_wait()? {
            let seconds = before.zip(of_children()).map(|(before, after)| after - before);
            return Ok((status, seconds));
        }
        drop(ending);
        std::thread::sleep(PAUSE);
    }
}

/// Runs a command to its end; this system does not say what it took.
#[cfg(not(unix))]
pub(crate) fn run(command: &mut Command) -> std::io::Result<(ExitStatus, Option<f64>)> {
    Ok((command.status()?, None))
}

/// Processor time of all children that ended and were waited for.
#[cfg(unix)]
fn of_children() -> Option<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let seconds = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() as f64 + 1e-6 * time.tv_usec() as f64);
    Some(seconds.iter().sum())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Two children side by side, one busy and one asleep: each is told its own time.
    #[test]
    fn each_child_is_told_its_own_time() {
        let told = |script: &'static str| {
            std::thread::spawn(move || run(Command::new("sh").args(["-c", script])).unwrap())
        };
        let busy = told("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
        let asleep = told("sleep 0.3; exit 3");
        let (status, seconds) = asleep.join().unwrap();
        assert_eq!(status.code(), Some(3));
        let idle = seconds.unwrap();
        let (status, seconds) = busy.join().unwrap();
        assert!(status.success());
        assert!(idle < 0.05 && seconds.unwrap() > idle, "{idle} {seconds:?}");
    }
}
