//! Pixel values equal those of transformers' image processors with the Pillow back end, and are
//! within two levels of those with the torchvision back end.

use crate::{fixture, json, numbers, sample};
use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_preprocess::{Padding, Processor, collate};

/// Both sides do the same operations in `f32`; one level of a picture is 0.008 to 0.015.
const TOLERANCE: f32 = 1e-6;

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_processor_gives_the_pixels_of_transformers() {
    let expected = candle_core::safetensors::load(fixture("pixels.safetensors"), &Device::Cpu);
    let expected = expected.unwrap();
    let cases = json("pixels.json");
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() >= 45, "{} cases", cases.len());
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let folder = fixture("pixels").join(text("processor"));
        let processor = Processor::from_folder(&folder, Arm::Image).unwrap();
        let picture = sample("a", "", Some(text("picture")));
        let pixels = processor.prepare(&picture).unwrap().image.unwrap();
        let shape = numbers(&case["shape"]);
        assert_eq!(shape, [3, pixels.height as u32, pixels.width as u32], "{case}");
        let stride = case["stride"].as_u64().unwrap() as usize;
        let ours: Vec<f32> = pixels.values.into_iter().step_by(stride).collect();
        let difference = largest_difference(&ours, &flat(&expected[text("tensor")]));
        assert!(difference <= TOLERANCE, "{}: {difference}", text("tensor"));
    }
}

/// torchvision resizes with weights of 16 bits, Pillow and we with 22: some values round to the
/// level beside. A level of the channel with the largest ones: three of any channel are more than
/// two of it.
#[test]
fn torchvision_is_at_most_two_levels_away() {
    let expected =
        candle_core::safetensors::load(fixture("pixels_torchvision.safetensors"), &Device::Cpu);
    let expected = expected.unwrap();
    let cases = json("pixels_torchvision.json");
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() >= 44, "{} cases", cases.len());
    let (mut all, mut off) = (0, 0);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let folder = fixture("pixels").join(text("processor"));
        let processor = Processor::from_folder(&folder, Arm::Image).unwrap();
        let picture = sample("a", "", Some(text("picture")));
        let pixels = processor.prepare(&picture).unwrap().image.unwrap();
        let stride = case["stride"].as_u64().unwrap() as usize;
        let ours: Vec<f32> = pixels.values.into_iter().step_by(stride).collect();
        let theirs = flat(&expected[text("tensor")]);
        let level = case["level"].as_f64().unwrap() as f32;
        let difference = largest_difference(&ours, &theirs);
        assert!(difference <= 2.0 * level + TOLERANCE, "{}: {difference}", text("tensor"));
        let differ = ours.iter().zip(&theirs).filter(|(a, b)| (*a - *b).abs() > 0.5 * level);
        let count = differ.count();
        assert!(count * 50 <= ours.len(), "{}: {count} of {}", text("tensor"), ours.len());
        (all, off) = (all + ours.len(), off + count);
    }
    assert!(off > 0 && off * 200 <= all, "{off} of {all} values differ");
}

#[test]
fn pictures_of_several_sizes_are_padded_as_in_transformers() {
    let expected = candle_core::safetensors::load(fixture("pixels.safetensors"), &Device::Cpu);
    let expected = expected.unwrap();
    let processor = Processor::from_folder(&fixture("pixels/vilt-small"), Arm::Image).unwrap();
    let names = json("pixels.json")["batch"].clone();
    let examples: Vec<_> = names
        .as_array()
        .unwrap()
        .iter()
        .map(|name| processor.prepare(&sample("a", "", name.as_str())).unwrap())
        .collect();
    let image = collate(&examples, Padding::Longest, 0).unwrap().image.unwrap();
    let theirs = &expected["batch/pixel_values"];
    assert_eq!(image.pixel_values.dims(), theirs.dims());
    assert!(largest_difference(&flat(&image.pixel_values), &flat(theirs)) <= TOLERANCE);

    let mask: Vec<Vec<Vec<i64>>> = expected["batch/pixel_mask"].to_vec3().unwrap();
    for (rows, (height, width)) in mask.iter().zip(image.sizes) {
        assert_eq!(rows.iter().filter(|row| row[0] == 1).count(), height);
        assert_eq!(rows[0].iter().sum::<i64>(), width as i64);
    }
}
