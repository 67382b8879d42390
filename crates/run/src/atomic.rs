//! Writing a file so that a reader sees all of it or none, whenever the process ends.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::RunError;

/// Fills a file beside `path` with `fill`, brings it to the disk and renames it to `path`.
///
/// # Errors
/// What `fill` returns, or [`RunError::Io`] naming `path`. In both cases `path` is as it was.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut options = tempfile::Builder::new();
    options.prefix(".writing-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any file the user makes (the process's mask still applies), not private to them.
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let beside = options.tempfile_in(folder).map_err(RunError::io(path))?;
    let mut writer = BufWriter::new(beside.as_file());
    fill(&mut writer)?;
    writer.flush().map_err(RunError::io(path))?;
    drop(writer);
    beside.as_file().sync_all().map_err(RunError::io(path))?;
    beside.persist(path).map_err(|error| RunError::io(path)(error.error))?;
    // The rename itself reaches the disk with the folder.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(RunError::io(path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_write_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let write = |text: &'static str| {
            let path = path.clone();
            write_atomically(&path.clone(), move |out| {
                out.write_all(text.as_bytes()).map_err(RunError::io(&path))
            })
        };
        write("one").unwrap();
        let refused = write_atomically(&path, |out| {
            out.write_all(b"tw").unwrap();
            Err(RunError::file(&path, "interrupted"))
        });
        assert!(refused.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write("two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
