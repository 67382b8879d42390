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

/// The folder of the scripts that take long, so that they are run by name alone.
const LONG: &str = "long";

/// The scripts that were asked for; a name with a leading underscore is a module of theirs.
fn chosen(folder: &Path, name: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    let mut scripts = scripts(folder)?;
    if name.is_some() {
        scripts.extend(self::scripts(&folder.join(LONG))?);
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

/// The scripts of a folder with their names.
fn scripts(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_script = path.extension().is_some_and(|kind| kind == "py");
        if is_script && !stem.starts_with('_') {
            scripts.push((stem.to_owned(), path));
        }
    }
    Ok(scripts)
}

/// The interpreter of `.python`, with the libraries that all scripts use.
pub(crate) fn environment(root: &Path) -> Result<PathBuf, Failure> {
    python(root, &root.join("tests/references"))
}

/// The interpreter of `.python`, with exactly the pinned libraries in it. Of those in
/// `requirements_alone.txt` only the files are wanted, so what they depend on stays away.
fn python(root: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let home = root.join(".python");
    let interpreter = home.join("bin/python");
    let pinned = folder.join("requirements.txt");
    let alone = folder.join("requirements_alone.txt");
    let wanted = fs::read_to_string(&pinned)? + &fs::read_to_string(&alone)?;
    let stamp = home.join("requirements.installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    say!("{}: installing {}", home.display(), pinned.display());
    if !interpreter.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    let install = ["-m", "pip", "install", "--quiet"];
    succeed(Command::new(&interpreter).args(install).arg("-r").arg(&pinned))?;
    succeed(Command::new(&interpreter).args(install).args(["--no-deps", "-r"]).arg(&alone))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(name: Option<&str>) -> Vec<String> {
        let chosen = chosen(&workspace().join("tests/references"), name).unwrap();
        chosen.iter().map(|path| path.file_stem().unwrap().display().to_string()).collect()
    }

    #[test]
    fn long_scripts_are_run_by_name_alone() {
        let all = stems(None);
        assert!(all.len() >= 4 && all.contains(&"models".to_owned()), "{all:?}");
        for name in ["true_size", "minilm", "notebook", "page"] {
            assert!(!all.contains(&name.to_owned()));
            assert_eq!(stems(Some(name)), [name]);
        }
        let error = chosen(&workspace().join("tests/references"), Some("mini")).unwrap_err();
        assert!(error.to_string().contains("`minilm`, `models`"), "{error}");
    }
}
