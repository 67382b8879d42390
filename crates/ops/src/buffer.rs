//! Memory that is used again: intermediate results of a step are as large as those of the step
//! before, and fresh pages cost as much as the arithmetic on them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::real::Real;

/// Elements on loan from a pool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Buffer<T: Real> {
    values: Vec<T>,
}

impl<T: Real> Buffer<T> {
    /// `length` elements of any value.
    pub(crate) fn of(length: usize) -> Self {
        // Under the lock a vector changes hands; making one, or filling it, is done outside.
        let Some(mut values) = lock(T::pool()).take(length) else {
            return Self { values: vec![T::default(); length] };
        };
        if values.len() < length {
            values.resize(length, T::default());
        } else {
            values.truncate(length);
        }
        Self { values }
    }
}

impl<T: Real> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T: Real> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T: Real> Drop for Buffer<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.capacity() > 0 {
            lock(T::pool()).give_back(values);
        }
    }
}

/// A panic elsewhere leaves a pool whole: it only ever holds vectors nobody else has.
fn lock<T>(pool: &Mutex<Pool<T>>) -> std::sync::MutexGuard<'_, Pool<T>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Vectors that nobody uses at the moment.
///
/// Idle and lent elements together never exceed what was ever lent at one time by more than a
/// quarter: where nothing idle is large enough, idle vectors are freed before another is made.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    /// By capacity, the smallest first.
    idle: Vec<Vec<T>>,
    idle_elements: usize,
    lent_elements: usize,
    most_lent: usize,
}

impl<T: Real> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self { idle: Vec::new(), idle_elements: 0, lent_elements: 0, most_lent: 0 }
    }

    /// An idle vector with room for `length` elements that is not far too large; `None` where there
    /// is none and one is to be made.
    fn take(&mut self, length: usize) -> Option<Vec<T>> {
        let fitting = self.idle.partition_point(|values| values.capacity() < length);
        let near = |values: &Vec<T>| values.capacity() / 4 <= length.max(1024);
        let found = self.idle.get(fitting).is_some_and(near).then(|| self.idle.remove(fitting));
        let capacity = found.as_ref().map_or(length, Vec::capacity);
        if found.is_some() {
            self.idle_elements -= capacity;
        } else {
            self.make_room(length);
        }
        self.lent_elements += capacity;
        self.most_lent = self.most_lent.max(self.lent_elements);
        found
    }

    fn give_back(&mut self, values: Vec<T>) {
        let capacity = values.capacity();
        self.lent_elements -= capacity;
        let place = self.idle.partition_point(|other| other.capacity() < capacity);
        self.idle_elements += capacity;
        self.idle.insert(place, values);
    }

    /// Frees idle vectors, the smallest first, until `length` more elements stay within the bound.
    fn make_room(&mut self, length: usize) {
        let bound = (self.most_lent.max(self.lent_elements + length) / 4).saturating_mul(5);
        while self.idle_elements + self.lent_elements + length > bound && !self.idle.is_empty() {
            self.idle_elements -= self.idle.remove(0).capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`Buffer::of`] takes them.
    fn lend(pool: &mut Pool<f32>, length: usize) -> Vec<f32> {
        pool.take(length).unwrap_or_else(|| vec![0.0; length])
    }

    #[test]
    fn a_vector_is_lent_again() {
        let mut pool = Pool::<f32>::new();
        let first = lend(&mut pool, 5000);
        let place = first.as_ptr();
        pool.give_back(first);
        let second = lend(&mut pool, 4000);
        assert_eq!(second.as_ptr(), place);
        assert_eq!((pool.idle_elements, pool.lent_elements), (0, 5000));
    }

    #[test]
    fn a_much_larger_vector_is_kept_for_those_who_need_it() {
        let mut pool = Pool::<f32>::new();
        let large = lend(&mut pool, 1_000_000);
        pool.give_back(large);
        assert!(pool.take(2000).is_none());
    }

    /// Lengths that never fit what lies idle.
    #[test]
    fn memory_stays_within_its_bound() {
        let mut pool = Pool::<f32>::new();
        for length in 1..300 {
            let (one, two) = (lend(&mut pool, length * 1000), lend(&mut pool, length * 500));
            pool.give_back(one);
            pool.give_back(two);
            assert!(pool.idle_elements <= pool.most_lent / 4 * 5 + 5, "{length}");
            assert_eq!(pool.lent_elements, 0);
        }
    }

    #[test]
    fn a_buffer_has_the_length_asked_for() {
        for length in [0, 7, 3, 5000, 4999, 1] {
            assert_eq!(Buffer::<f64>::of(length).len(), length);
        }
    }
}
