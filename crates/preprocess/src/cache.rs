//! Resized pictures kept in memory, so that later epochs need not decode them again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;

/// Resized 8-bit pictures by file, up to a number of bytes.
///
/// What has come in stays: an epoch visits every picture once, and with that order of visits a
/// cache that drops the oldest would never hit. Files are taken not to change meanwhile.
#[derive(Debug)]
pub(crate) struct PictureCache {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    pictures: BTreeMap<PathBuf, Arc<RgbImage>>,
}

impl PictureCache {
    /// A cache of at most `limit` bytes of pixels.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Arc<RgbImage>> {
        // The map is whole whatever panicked elsewhere: each change is one insertion.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pictures.get(path).cloned()
    }

    /// Keeps a picture if there is room.
    pub(crate) fn keep(&self, path: &Path, picture: &Arc<RgbImage>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes + picture.as_raw().len();
        if bytes <= self.limit && !kept.pictures.contains_key(path) {
            kept.bytes = bytes;
            kept.pictures.insert(path.to_owned(), Arc::clone(picture));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_the_rest_is_not() {
        let cache = PictureCache::new(20);
        let picture = Arc::new(RgbImage::new(2, 2)); // 12 bytes
        cache.keep(Path::new("a"), &picture);
        cache.keep(Path::new("a"), &picture);
        cache.keep(Path::new("b"), &picture);
        assert!(cache.get(Path::new("a")).is_some());
        assert!(cache.get(Path::new("b")).is_none());
    }
}
