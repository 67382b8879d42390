//! JPEG files decoded to fewer pixels: shapes stay, pixels nearly.

use mmc_data::{Arm, ImageSource};
use mmc_preprocess::{Augmentation, Pixels, Processor};

use crate::{fixture, sample};

/// What a processor of the fixtures makes of a JPEG file of the data crate, exactly and not.
fn both(folder: &str, file: &str) -> [Pixels; 2] {
    let mut sample = sample("a", "", None);
    let path = format!("{}/../data/tests/jpeg/{file}", env!("CARGO_MANIFEST_DIR"));
    sample.image = Some(ImageSource::File(path.into()));
    [false, true].map(|scaling| {
        let processor =
            Processor::from_folder(&fixture("pixels").join(folder), Arm::Image).unwrap();
        processor.with_jpeg_scaling(scaling).prepare(&sample).unwrap().image.unwrap()
    })
}

fn mean_difference([exact, scaled]: &[Pixels; 2]) -> f32 {
    assert_eq!((exact.height, exact.width), (scaled.height, scaled.width));
    let pairs = exact.values.iter().zip(&scaled.values);
    pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / exact.values.len() as f32
}

#[test]
fn shapes_stay_and_pixels_nearly() {
    // 90 × 75 pixels, of which the small processors need less than half.
    for (folder, level) in [("clip-small", 0.0150), ("flava-small", 0.0150), ("vilt-small", 0.0079)]
    {
        for file in ["420.jpg", "422.jpg"] {
            let both = both(folder, file);
            let mean = mean_difference(&both);
            assert!(mean > 0.0, "{folder}, {file}: nothing was left out");
            assert!(mean < 2.5 * level, "{folder}, {file}: {} levels", mean / level);
        }
    }
    // Others than plain JPEG files, and pictures of which more than half is needed, are exact.
    for (folder, file) in [("clip-small", "progressive.jpg"), ("clip-default", "420.jpg")] {
        assert!(mean_difference(&both(folder, file)) <= 0.0, "{folder}, {file}");
    }
}

/// A piece of a picture needs more of it than the whole does.
#[test]
fn pieces_are_cut_from_as_many_pixels_as_they_need() {
    let [exact, scaled] = [false, true].map(|scaling| {
        let processor = Processor::from_folder(&fixture("pixels/clip-small"), Arm::Image).unwrap();
        let processor = processor.with_jpeg_scaling(scaling);
        let mut sample = sample("a", "", None);
        let path = format!("{}/../data/tests/jpeg/420.jpg", env!("CARGO_MANIFEST_DIR"));
        sample.image = Some(ImageSource::File(path.into()));
        let draw = Augmentation { jitter: 0.0, ..Augmentation::LIGHT }.draw(0, 1, "a");
        processor.prepare_augmented(&sample, draw).unwrap().image.unwrap()
    });
    let mean = mean_difference(&[exact, scaled]);
    assert!(mean < 6.0 * 0.0150, "{} levels", mean / 0.0150);
}
