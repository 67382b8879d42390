//! Steps on several devices.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// This many shards of one row each.
fn rows(count: usize) -> Vec<([f32; 3], u32)> {
    ROWS.iter().copied().cycle().take(count).collect()
}

/// One shard a row; its item is named after the row.
fn shards(rows: &[([f32; 3], u32)]) -> impl Iterator<Item = Result<Shard, TrainError>> {
    rows.iter().enumerate().map(|(row, one)| {
        let mut shard = shard(&[*one])?;
        shard.batch.ids = vec![format!("id{row}")];
        Ok(shard)
    })
}

fn on(devices: usize, model: &Linear) -> Stepper<'_> {
    let mut stepper = stepper(model, 1e9);
    stepper.adders = Adders::devices(devices).unwrap();
    stepper
}

/// The error is that of the first shard that failed.
#[test]
fn devices_take_one_step_and_name_the_first_failure() {
    let one = |devices: usize, rows: &[([f32; 3], u32)]| {
        let model = linear(false);
        let outcome = on(devices, &model).step(1, shards(rows)).map_err(|error| error.to_string());
        let weight = model.parameters[0].var.to_vec2::<f32>().unwrap();
        (outcome, weight)
    };
    let many = rows(40);
    let (outcome, weight) = one(1, &many);
    for devices in [2, 3, 50] {
        assert_eq!(one(devices, &many), (outcome.clone(), weight.clone()), "{devices} devices");
    }
    let mut bad = many;
    for row in [17, 18, 30] {
        bad[row].0[1] = f32::NAN;
    }
    let (outcome, _) = one(1, &bad);
    assert!(outcome.as_ref().unwrap_err().contains("`id17`"), "{outcome:?}");
    for devices in [2, 3, 50] {
        assert_eq!(one(devices, &bad).0, outcome, "{devices} devices");
    }
    for devices in [1, 2] {
        let model = linear(false);
        let unreadable = std::iter::once(Err(TrainError::setting("x", "unreadable")));
        let error = on(devices, &model).step(1, shards(&rows(9)).chain(unreadable)).unwrap_err();
        assert_eq!(error.to_string(), "unreadable");
    }
}

#[test]
fn a_parameter_without_gradient_is_named() {
    for (devices, count) in [(1, 1), (1, 9), (2, 1), (2, 9), (3, 9)] {
        let model = linear(true);
        let error = on(devices, &model).step(7, shards(&rows(count))).unwrap_err();
        let named = matches!(
            &error,
            TrainError::NoGradient { step: 7, parameter, ids }
                if parameter == "unused" && *ids == ["id0"]
        );
        assert!(named, "{devices} devices, {count} shards: {error}");
        let message = error.to_string();
        assert!(message.contains("step 7") && message.contains("`unused`"), "{message}");
    }
}

/// What a step says that panics at a shard, and what the next one does.
fn around_a_panic(devices: usize, (at, pixel): (usize, f32)) -> (String, StepOutcome) {
    let model = linear(false);
    let mut stepper = on(devices, &model);
    let mut bad = rows(40);
    bad[at].0[0] = pixel;
    let panic = catch_unwind(AssertUnwindSafe(|| stepper.step(1, shards(&bad)))).unwrap_err();
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    (said.unwrap(), stepper.step(2, shards(&rows(40))).unwrap())
}

/// A panic goes on as on one device, nobody waits for its shard, and who catches it has all sums.
#[test]
fn a_model_that_panics_ends_the_step_and_hangs_nobody() {
    let model = linear(false);
    let expected = on(1, &model).step(2, shards(&rows(40))).unwrap();
    for devices in [1, 2, 3] {
        for (pixel, words) in
            [(FORWARD_PANICS, "forward panics"), (BACKWARD_PANICS, "backward panics")]
        {
            for at in [0, 5, 39] {
                let (sender, receiver) = mpsc::channel();
                std::thread::spawn(move || sender.send(around_a_panic(devices, (at, pixel))));
                let (said, outcome) = receiver
                    .recv_timeout(Duration::from_secs(300))
                    .unwrap_or_else(|error| panic!("{devices} devices, shard {at}: {error}"));
                assert_eq!(said, words, "{devices} devices, shard {at}");
                assert_eq!(outcome, expected, "{devices} devices, shard {at}");
            }
        }
    }
}
