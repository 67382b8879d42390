//! Does the order of an epoch depend on who asks for it? Four threads ask; they get one answer.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use mmc_random::{Purpose, permutation};

fn main() {
    let threads: Vec<_> =
        (0..4).map(|_| std::thread::spawn(|| permutation(10, 7, Purpose::Shuffle, 2))).collect();
    let orders: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
    assert!(orders.iter().all(|order| *order == orders[0]));
    println!("epoch 2 of seed 7, from {} threads: {:?}", orders.len(), orders[0]);
}
