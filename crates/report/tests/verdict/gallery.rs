//! The gallery, from predictions made by hand on a generated set.

use mmc_data::demo::{DemoSet, Truth, write};
use mmc_data::{Arm, ReadOptions, dataset};
use mmc_report::{gallery, html_report, report, verdict};
use mmc_run::{PictureEffect, Prediction, Predictions, ResultsFolder};

use crate::synthetic::Synthetic;

#[test]
fn the_most_decisive_items_are_shown_with_their_texts_and_pictures() {
    let root = tempfile::tempdir().unwrap();
    let set = DemoSet { train: 8, dev: 8, test: 12, ..DemoSet::new(Truth::Text, 2) };
    write(&set, &root.path().join("data")).unwrap();
    let memes = dataset("hateful_memes").unwrap();
    let data = root.path().join("data");
    let split = memes.read(&data, "test_unseen", &ReadOptions::default()).unwrap();
    let mut results = Synthetic::new(crate::arms(0.5, 2.0)).results();
    for run in &mut results.runs {
        run.config.settings.data_root = data.display().to_string();
        run.config.data.test.as_mut().unwrap().fingerprint = split.fingerprint();
        // With the picture the first four items are right and the next two wrong, the surer the
        // earlier; without it the other way round; the rest is right in both.
        let with = run.id.arm == Arm::Both;
        let rows = split.iter().enumerate().map(|(place, sample)| {
            let Some(mmc_data::Target::Class(class)) = sample.target else { panic!("no label") };
            let sure = 0.95 - 0.05 * place as f64;
            let right = if place < 4 { with } else { place > 5 || !with };
            let own = if right { sure } else { 1.0 - sure };
            let mut probabilities = vec![1.0 - own; 2];
            probabilities[class] = own;
            let says = if right { class } else { 1 - class };
            Prediction {
                id: sample.id.clone(),
                label: Some(split.labels[class].clone()),
                prediction: split.labels[says].clone(),
                probabilities,
                logits: None,
                group: None,
                answer: None,
            }
        });
        run.test = Some(Predictions { classes: split.labels.clone(), rows: rows.collect() });
    }
    let items = gallery(&results).unwrap();
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    let expected: Vec<&str> = split.samples[..6].iter().map(|sample| sample.id.as_str()).collect();
    assert_eq!(ids, expected, "rescued first, each the most decisive first");
    for (item, sample) in items.iter().zip(&split.samples) {
        let rescued = items.iter().position(|at| at.id == item.id).unwrap() < 4;
        let effect = if rescued { PictureEffect::Rescued } else { PictureEffect::Hurt };
        assert_eq!((item.model.as_str(), item.effect), ("vilt-tiny", effect));
        assert_eq!(item.text, sample.text);
        assert_eq!(item.both_right, if rescued { [3, 3] } else { [0, 3] });
        assert!(item.thumbnail.as_ref().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        assert_eq!(item.change > 0.0, rescued);
    }

    let folder = ResultsFolder::new(root.path());
    folder.write_gallery(&items).unwrap();
    results.gallery = folder.gallery().unwrap();
    assert_eq!(results.gallery, items);
    let text = report(&results, &verdict(&results, 0.02).unwrap()).unwrap();
    assert!(text.contains("## Items on which the picture decided"), "{text}");
    assert!(text.contains("### vilt-tiny, rescued") && text.contains("### vilt-tiny, hurt"));
    assert!(text.contains("  - right in 0 of 3 seeds without, 3 of 3 with"), "{text}");
    let html = html_report(&results, &verdict(&results, 0.02).unwrap());
    let shown = html.matches("<article class=\"card\">").count();
    assert_eq!(shown, html.matches("src=\"data:image/jpeg;base64,/9j/").count());
    assert_eq!(shown, text.matches("  - right in ").count());
    assert!(shown > 2, "{shown}");

    for run in &mut results.runs {
        run.config.data.test.as_mut().unwrap().fingerprint = "other".to_owned();
    }
    let error = gallery(&results).unwrap_err().to_string();
    assert!(error.contains("not the split that the runs were tested on"), "{error}");
}
