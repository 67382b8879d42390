//! Beside torchvision: `tests/references/augment.py` writes `tests/augment/torchvision.json`.

use image::Rgb;
use serde_json::Value;

use super::*;

fn picture() -> RgbImage {
    RgbImage::from_fn(20, 15, |x, y| Rgb([(x * 12) as u8, (y * 16) as u8, (x + y) as u8]))
}

/// What torchvision made.
fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/augment/torchvision.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn an_item_and_an_epoch_decide_and_nothing_else() {
    let of = |seed, epoch, id| {
        let mut draw = Augmentation::LIGHT.draw(seed, epoch, id);
        let mut piece = draw.cut(&picture());
        draw.colour(&mut piece);
        piece
    };
    let base = of(1, 2, "a");
    assert_eq!(base, of(1, 2, "a"));
    for (seed, epoch, id) in [(2, 2, "a"), (1, 3, "a"), (1, 2, "b")] {
        assert_ne!(base, of(seed, epoch, id), "{seed} {epoch} {id}");
    }
}

/// Colours to the level, after each of the three changes and after all of them.
#[test]
fn colours_change_as_torchvision_changes_them() {
    let reference = reference();
    let cases = reference["colours"].as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let factors = numbers(&case["factors"]);
        let factors = [factors[0], factors[1], factors[2]];
        let mut found = picture();
        Draw { factors, ..Augmentation::LIGHT.draw(0, 1, "a") }.colour(&mut found);
        let expected = numbers(&case["levels"]);
        assert_eq!(found.as_raw().len(), expected.len());
        let off: Vec<f64> = found
            .as_raw()
            .iter()
            .zip(&expected)
            .map(|(&found, expected)| (f64::from(found) - expected).abs())
            .collect();
        let most = off.iter().copied().fold(0.0, f64::max);
        let share = off.iter().filter(|&&off| off > 0.0).count() as f64 / off.len() as f64;
        // torchvision fuses multiply and add: a level on the edge of two falls either way.
        assert!(most <= 1.0 && share <= 0.01, "{factors:?}: {most} levels, {share} of them");
    }
}

/// Widths, heights and places of pieces, by their distribution over many draws: each decile is within
/// four standard errors of a decile, and the grid of whole pixels.
#[test]
fn pieces_are_drawn_as_torchvision_draws_them() {
    let reference = reference();
    let side = reference["side"].as_u64().unwrap() as u32;
    let draws = 20_000;
    let mut found = [const { Vec::new() }; 3];
    for item in 0..draws {
        let piece = Augmentation::LIGHT.draw(0, 1, &item.to_string()).piece((side, side));
        assert!(piece.left + piece.width <= side && piece.top + piece.height <= side);
        for (all, value) in found.iter_mut().zip([piece.width, piece.height, piece.left]) {
            all.push(f64::from(value));
        }
    }
    for (name, all) in ["width", "height", "left"].iter().zip(&mut found) {
        all.sort_by(f64::total_cmp);
        for (decile, expected) in (1..10).zip(numbers(&reference["deciles"][name])) {
            let ours = all[decile * draws / 10];
            // Where a value is rarest among these, a decile of 20,000 draws has a standard error of
            // half a pixel.
            assert!((ours - expected).abs() <= 2.0, "{name}, decile {decile}: {ours}, {expected}");
        }
    }
}

#[test]
fn nothing_is_changed_where_nothing_may_be() {
    let still = Augmentation { least_area: 1.0, most_stretch: 1.0, jitter: 0.0, flips: 0.0 };
    let mut draw = still.draw(0, 1, "a");
    let mut same = draw.cut(&picture());
    draw.colour(&mut same);
    assert_eq!(same, picture());
    let flips = Augmentation { flips: 1.0, ..still };
    let mirrored = flips.draw(0, 1, "a").cut(&picture());
    assert_eq!(mirrored.get_pixel(0, 5), picture().get_pixel(19, 5));
    let dot = RgbImage::from_pixel(1, 1, Rgb([9, 9, 9]));
    assert_eq!(Augmentation::LIGHT.draw(0, 1, "a").cut(&dot), dot);
}

#[test]
fn half_of_the_pictures_are_mirrored_or_none() {
    let flipped = |augmentation: Augmentation| {
        (0..2000).filter(|item: &i32| augmentation.draw(0, 1, &item.to_string()).flipped).count()
    };
    assert_eq!(flipped(Augmentation::LIGHT), 0);
    assert!((900..1100).contains(&flipped(Augmentation::LIGHT_FLIP)));
}
