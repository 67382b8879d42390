//! Folders of a run that are replaced whole: a kill at any moment leaves the old one, the new one,
//! or a new one that [`recover`] puts in its place.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TrainError;
use crate::resume::{remove, sync};

/// Lets `make` write a folder inside `state` and puts it in the place of `destination`.
///
/// What an interrupted `make` leaves lies in `state`, where nothing but states is looked for.
pub(crate) fn replace(
    state: &Path,
    destination: &Path,
    make: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    fs::create_dir_all(state).map_err(TrainError::io(state))?;
    let fresh = fresh(state, destination);
    let old = fresh.with_extension("old");
    remove(&fresh)?;
    make(&fresh)?;
    if destination.exists() {
        remove(&old)?;
        fs::rename(destination, &old).map_err(TrainError::io(destination))?;
    }
    fs::rename(&fresh, destination).map_err(TrainError::io(destination))?;
    if let Some(parent) = destination.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync(parent)?;
    }
    remove(&old)
}

/// Finishes a replacement that was killed between its two renames.
pub(crate) fn recover(state: &Path, destination: &Path) -> Result<(), TrainError> {
    let fresh = fresh(state, destination);
    if fresh.is_dir() && !destination.exists() {
        fs::rename(&fresh, destination).map_err(TrainError::io(destination))?;
    }
    Ok(())
}

/// Where the new folder is made: it must come into being whole, by one rename.
fn fresh(state: &Path, destination: &Path) -> PathBuf {
    state.join(destination.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_whole_or_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let (state, place) = (folder.path().join("state"), folder.path().join("checkpoint"));
        let make = |text: &'static str| {
            move |folder: &Path| {
                fs::create_dir(folder).unwrap();
                fs::write(folder.join("file"), text).unwrap();
                Ok(())
            }
        };
        let read = || fs::read_to_string(place.join("file")).unwrap();
        replace(&state, &place, make("one")).unwrap();
        assert_eq!(read(), "one");
        replace(&state, &place, make("two")).unwrap();
        assert_eq!(read(), "two");
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing is left over");

        fs::rename(&place, state.join("checkpoint")).unwrap(); // between the renames
        recover(&state, &place).unwrap();
        assert_eq!(read(), "two");
        make("three")(&state.join("checkpoint")).unwrap(); // before the first rename
        recover(&state, &place).unwrap();
        assert_eq!(read(), "two");
        let refused = replace(&state, &place, |_| Err(TrainError::setting("x", "refused")));
        assert!(refused.is_err());
        assert_eq!(read(), "two");
    }
}
