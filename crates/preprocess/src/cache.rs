//! What was prepared kept in memory, so that later epochs need not prepare it again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key, up to a number of bytes.
///
/// What has come in stays: an epoch visits everything once, and with that order of visits a
/// cache that drops the oldest would never hit.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    limit: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    bytes: usize,
    values: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of values of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::new(Kept { bytes: 0, values: HashMap::new() }) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        (kept.bytes, kept.values) = (0, HashMap::new());
    }

    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // The map is whole whatever panicked elsewhere: each change is one insertion.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values.get(key).cloned()
    }

    /// Keeps a value of this many bytes if there is room.
    pub(crate) fn keep<Q>(&self, key: &Q, value: &V, bytes: usize)
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes.saturating_add(bytes);
        if bytes <= self.limit && !kept.values.contains_key(key) {
            kept.bytes = bytes;
            kept.values.insert(key.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_the_rest_is_not() {
        let mut cache = Cache::<String, u8>::new(20);
        cache.keep("a", &1, 12);
        cache.keep("a", &1, 12);
        cache.keep("b", &2, 12);
        cache.keep("c", &3, 8);
        assert_eq!(["a", "b", "c"].map(|key| cache.get(key)), [Some(1), None, Some(3)]);
        cache.clear();
        cache.keep("b", &2, 20);
        assert_eq!(["a", "b"].map(|key| cache.get(key)), [None, Some(2)]);
    }
}
