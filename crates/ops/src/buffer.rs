//! Memory that is used again: intermediate results of a step are as large as those of the step
//! before, and fresh pages cost as much as the arithmetic on them.

use std::mem::size_of;
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
        Self { values: lock(T::pool()).take(length) }
    }

    /// The elements for good, for a tensor that will own them.
    pub(crate) fn into_vec(mut self) -> Vec<T> {
        std::mem::take(&mut self.values)
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

    fn take(&mut self, length: usize) -> Vec<T> {
        let fitting = self.idle.partition_point(|values| values.capacity() < length);
        let near = |values: &Vec<T>| values.capacity() / 4 <= length.max(1024);
        let values = if self.idle.get(fitting).is_some_and(near) {
            let mut values = self.idle.remove(fitting);
            self.idle_elements -= values.capacity();
            if values.len() < length {
                values.resize(length, T::default());
            } else {
                values.truncate(length);
            }
            values
        } else {
            self.make_room(length);
            vec![T::default(); length]
        };
        self.lent_elements += values.capacity();
        self.most_lent = self.most_lent.max(self.lent_elements);
        values
    }

    fn give_back(&mut self, values: Vec<T>) {
        let capacity = values.capacity();
        self.lent_elements = self.lent_elements.saturating_sub(capacity);
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

/// Bytes that pools hold ready and that nobody uses at the moment.
#[must_use]
pub fn idle_bytes() -> usize {
    lock(f32::pool()).idle_elements * size_of::<f32>()
        + lock(f64::pool()).idle_elements * size_of::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_lent_again() {
        let mut pool = Pool::<f32>::new();
        let mut first = pool.take(5000);
        first.fill(7.0);
        let place = first.as_ptr();
        pool.give_back(first);
        let second = pool.take(4000);
        assert_eq!((second.as_ptr(), second.len()), (place, 4000));
        assert_eq!((pool.idle_elements, pool.lent_elements), (0, 5000));
    }

    #[test]
    fn a_much_larger_vector_is_kept_for_those_who_need_it() {
        let mut pool = Pool::<f32>::new();
        let large = pool.take(1_000_000);
        pool.give_back(large);
        assert!(pool.take(2000).capacity() < 1_000_000);
    }

    /// Lengths that never fit what lies idle.
    #[test]
    fn memory_stays_within_its_bound() {
        let mut pool = Pool::<f32>::new();
        for length in 1..300 {
            let (one, two) = (pool.take(length * 1000), pool.take(length * 500));
            pool.give_back(one);
            pool.give_back(two);
            assert!(pool.idle_elements <= pool.most_lent / 4 * 5 + 5, "{length}");
        }
    }
}
