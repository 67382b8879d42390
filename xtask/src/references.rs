//! Reference numbers from other implementations: pinned Python libraries, run in a folder of
//! their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::failure::{Failure, workspace};

/// Remakes the numbers of one script of `tests/references`, or of all.
pub(crate) fn remake(name: Option<&str>) -> Result<(), Failure> {
    let root = workspace();
    let folder = root.join("tests/references");
    let scripts = chosen(&folder, name)?;
    let python = python(&root, &folder)?;
    for script in scripts {
        let started = Instant::now();
        let status = Command::new(&python).arg(&script).current_dir(&root).status()?;
        if !status.success() {
            return Err(Failure::work(format!("{}: {status}", script.display())));
        }
        let seconds = started.elapsed().as_secs_f64();
        say!("{}: done in {seconds:.0} s", script.display());
    }
    Ok(())
}

/// The scripts that were asked for; a name with a leading underscore is a module of theirs.
fn chosen(folder: &Path, name: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_script = path.extension().is_some_and(|kind| kind == "py");
        if is_script && !stem.starts_with('_') {
            scripts.push((stem.to_owned(), path));
        }
    }
    scripts.sort();
    let names: Vec<String> = scripts.iter().map(|(stem, _)| format!("`{stem}`")).collect();
    scripts.retain(|(stem, _)| name.is_none_or(|name| name == stem));
    if scripts.is_empty() {
        let asked = name.unwrap_or_default();
        let known = names.join(", ");
        return Err(Failure::usage(format!("no reference `{asked}`, expected one of {known}")));
    }
    Ok(scripts.into_iter().map(|(_, path)| path).collect())
}

/// The interpreter of `.python`, with exactly the pinned libraries in it.
fn python(root: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let home = root.join(".python");
    let interpreter = home.join("bin/python");
    let pinned = folder.join("requirements.txt");
    let wanted = fs::read_to_string(&pinned)?;
    let stamp = home.join("requirements.installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    say!("{}: installing {}", home.display(), pinned.display());
    if !interpreter.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    succeed(
        Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&pinned),
    )?;
    fs::write(&stamp, wanted)?;
    Ok(interpreter)
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    Err(Failure::work(format!("`{program} {}`: {status}", arguments.join(" "))))
}
