//! Steps on several ranks.

use super::*;
use crate::ranks::OrderedSum;
use crate::ranks::tests::hub::on_ranks;

/// Shards of one row each, as many as there are numbers; those that are not listed were left out.
fn numbered(numbers: &[usize]) -> impl Iterator<Item = Result<Shard, TrainError>> + '_ {
    numbers.iter().map(|&number| {
        let (pixels, class) = ROWS[number % ROWS.len()];
        // Sums of such numbers depend on their order.
        let factor = [1.0, 1e-3, 77.7, 0.31][number % 4] * (1.0 + number as f32 / 7.0);
        let mut shard = shard(&[(pixels.map(|pixel| pixel * factor), class)])?;
        shard.batch.ids = vec![format!("id{number}")];
        Ok(Shard { number, ..shard })
    })
}

/// Two steps: what each came to, and the weights behind them.
fn steps(model: &Linear, adders: Adders, numbers: [&[usize]; 2]) -> (Vec<StepOutcome>, Vec<u32>) {
    let mut stepper = stepper(model, 1.0);
    stepper.adders = adders;
    let outcomes = numbers.iter().zip(1..).map(|(numbers, step)| {
        let outcome = stepper.step(step, numbered(numbers));
        outcome.unwrap_or_else(|error| panic!("{numbers:?}: {error}"))
    });
    let outcomes = outcomes.collect();
    let weight = model.parameters[0].var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (outcomes, weight.into_iter().map(f32::to_bits).collect())
}

#[test]
fn ranks_add_shards_in_their_order_whichever_are_there() {
    let full: Vec<usize> = (0..13).collect();
    let backwards: Vec<usize> = full.iter().copied().rev().collect();
    let [one, other] = [&full, &backwards].map(|numbers| {
        let model = linear(false);
        steps(&model, Adders::One, [numbers, &full])
    });
    assert_ne!(one, other, "the order of these numbers is seen in their sum");
    for numbers in [&full[..], &[1, 5, 6, 12], &[0], &[7], &[3, 4, 5], &[]] {
        let alone = linear(false);
        let expected = steps(&alone, Adders::One, [numbers, &full]);
        for count in [1, 2, 3, 5] {
            for bucket in [1, 2, 4, 5, 100] {
                let found = on_ranks(count, |ranks| {
                    let model = linear(false);
                    let share = ranks.share();
                    let own = |all: &[usize]| -> Vec<usize> {
                        all.iter().copied().filter(|&number| share.takes(number)).collect()
                    };
                    let adders = Adders::Ranks(Box::new(OrderedSum::with_bucket(&ranks, bucket)));
                    steps(&model, adders, [&own(numbers), &own(&full)])
                });
                for one in found {
                    assert_eq!(one, expected, "{numbers:?}, {count} ranks, buckets of {bucket}");
                }
            }
        }
    }
}
