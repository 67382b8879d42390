//! Figures of diagnoses made by hand, and what a report makes of those it finds.

use mmc_data::Arm;
use mmc_metrics::metric;
use mmc_report::{DiagnosisFiles, DiagnosisTerms, diagnosis, report, verdict};
use mmc_run::{
    AdditivePart, ByModality, DIAGNOSIS_METHOD, DiagnosedItem, Diagnosis, DiagnosisSource,
    LogitRows, Prediction, Predictions,
};

use crate::synthetic::Synthetic;

const ITEMS: usize = 40;

/// Rows that are right but for the first `wrong` of the items; even items are of class 0.
fn rows(wrong: usize) -> LogitRows {
    let row = |item: usize| {
        let says = if item < wrong { 1 - item % 2 } else { item % 2 };
        if says == 1 { vec![-1.0, 1.0] } else { vec![1.0, -1.0] }
    };
    (0..ITEMS).map(row).collect()
}

fn made(additive_wrong: usize) -> Diagnosis {
    let item = |item: usize| DiagnosedItem {
        id: item.to_string(),
        label: Some(["no", "yes"][item % 2].to_owned()),
        group: None,
    };
    let logits = rows(additive_wrong).into_iter().take(20);
    Diagnosis {
        source: DiagnosisSource {
            method: DIAGNOSIS_METHOD,
            checkpoint: String::new(),
            split: "test".to_owned(),
            fingerprint: "abc".to_owned(),
            seed: 0,
            permutations: 2,
            grid_items: None,
        },
        classes: ["no", "yes"].map(str::to_owned).to_vec(),
        items: (0..ITEMS).map(item).collect(),
        plain: rows(4),
        blank: ByModality { text: rows(20), image: rows(12) },
        shuffled: ByModality { text: vec![rows(24), rows(20)], image: vec![rows(10), rows(14)] },
        additive: AdditivePart {
            grids: vec![20],
            interaction_share: vec![vec![Some(0.25), Some(0.75)]],
            items: (0..20).collect(),
            logits: logits.map(|row| row.into_iter().map(f64::from).collect()).collect(),
            pairs: 400,
            pair_cost: 1.0,
        },
    }
}

fn terms(margin: f64) -> DiagnosisTerms<'static> {
    let (model, text_model) = ("vilt-tiny", "bert-tiny");
    let metric = metric("accuracy").unwrap();
    DiagnosisTerms { model, text_model, metric, positive: None, margin }
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

/// Every figure counted by hand from the numbers of wrong items.
#[test]
fn figures_are_those_counted_by_hand() {
    let (one, two) = (made(10), made(12));
    let of = |wrong: usize| one.predictions(&rows(wrong));
    // On the 20 items of the grid: text model 10 wrong, text arms 11 and 9, additive 10 and 12,
    // full 4.
    let (text_arm, text_model) = ([of(11), of(9)], [of(10), of(10)]);
    let files =
        DiagnosisFiles { diagnoses: &[&one, &two], text_arm: &text_arm, text_model: &text_model };
    let found = diagnosis(&terms(0.02), &files).unwrap();
    assert_eq!((found.items, found.ledger_items, found.seeds), (40, 20, 2));
    assert_eq!((found.scope, found.grids.as_slice()), ("new seeds and new items", &[20][..]));
    close(found.score, 0.9);
    close(found.uninformed, 0.5);
    close(found.shuffled.text, 1.0 - 22.0 / 40.0);
    close(found.shuffled.image, 1.0 - 12.0 / 40.0);
    close(found.drop.image.estimate, 0.2);
    close(found.perceptual.image.unwrap(), 0.2 / 0.9);
    close(found.perceptual_of_task.image.unwrap(), 0.4);
    close(found.blank.text, 0.5);
    close(found.blank.image, 0.7);
    close(found.interaction_share.unwrap(), 0.5);
    let part = |part: &mmc_report::LedgerPart| part.estimate.unwrap();
    close(part(&found.ledger.backbone), 0.0);
    close(part(&found.ledger.additive), -1.0 / 20.0);
    close(part(&found.ledger.interaction), 7.0 / 20.0);
    close(part(&found.ledger.total), 6.0 / 20.0);
    close(part(&found.ledger.picture), 6.0 / 20.0);
    close(found.gain_on_all_items.unwrap(), 6.0 / 40.0);
    assert!(found.drop.text.interval.contains(found.drop.text.estimate));
    assert!(found.reading[0].starts_with("the picture helps together with the text"));
    assert!(found.reading[2].starts_with("it relies on both inputs"), "{:?}", found.reading);
}

/// Without the text arm nothing is said of the additive part.
#[test]
fn what_is_not_known_is_null_with_its_reason() {
    let one = made(10);
    let files = DiagnosisFiles { diagnoses: &[&one], text_arm: &[], text_model: &[] };
    let found = diagnosis(&terms(0.0), &files).unwrap();
    assert_eq!(found.scope, "this checkpoint");
    let json = serde_json::to_value(&found).unwrap();
    for part in ["backbone", "additive", "total", "picture"] {
        assert!(json["ledger"][part]["estimate"].is_null(), "{json}");
        assert!(json["ledger"][part]["absent"].is_string(), "{json}");
    }
    close(json["ledger"]["interaction"]["estimate"].as_f64().unwrap(), 6.0 / 20.0);
    assert!(json["gain_on_all_items"].is_null());
    assert!(found.reading[0].contains("takes the model's text arm to tell"), "{:?}", found.reading);
    let none = DiagnosisFiles { diagnoses: &[], ..files };
    assert!(diagnosis(&terms(0.0), &none).is_err());
}

/// "Pictures do not help" is told from "its text tower is weaker".
#[test]
fn the_reading_tells_the_picture_from_the_backbone() {
    // Full and additive alike, 4 wrong; text arm as good; the text model better or as good.
    let (one, two) = (made(4), made(4));
    let of = |wrong: usize| one.predictions(&rows(wrong));
    let read = |text_arm: usize, text_model: usize, margin: f64| {
        let (arm, model) = ([of(text_arm), of(text_arm)], [of(text_model), of(text_model)]);
        let files = DiagnosisFiles { diagnoses: &[&one, &two], text_arm: &arm, text_model: &model };
        diagnosis(&terms(margin), &files).unwrap().reading
    };
    let useless = read(4, 4, 0.4);
    assert!(useless[0].starts_with("pictures do not help"), "{useless:?}");
    assert!(
        useless[1].starts_with("shown the text alone it is as good as bert-tiny"),
        "{useless:?}"
    );
    let weaker = read(15, 4, 0.02);
    assert!(weaker[0].starts_with("the picture helps by itself"), "{weaker:?}");
    assert!(
        weaker[1].starts_with("shown the text alone it is weaker than bert-tiny"),
        "{weaker:?}"
    );
    let stronger = read(4, 15, 0.02);
    assert!(stronger[1].starts_with("shown the text alone it is stronger than"), "{stronger:?}");
    let hurt = read(0, 0, 0.02);
    assert!(!hurt[0].starts_with("the picture helps"), "{hurt:?}");
}

/// A diagnosis that is true to a run's predictions.
fn of_predictions(predictions: &Predictions, fingerprint: &str) -> Diagnosis {
    let item = |row: &Prediction| DiagnosedItem {
        id: row.id.clone(),
        label: row.label.clone(),
        group: row.group.clone(),
    };
    let logits = |row: &Prediction| -> Vec<f32> {
        let known = row.logits.clone();
        known.unwrap_or_else(|| row.probabilities.iter().map(|p| p.ln() as f32).collect())
    };
    let plain: LogitRows = predictions.rows.iter().map(logits).collect();
    let none: LogitRows = plain.iter().map(|row| vec![0.0; row.len()]).collect();
    let additive = plain.iter().map(|row| row.iter().map(|&at| f64::from(at)).collect());
    let base = made(0);
    let source = DiagnosisSource { fingerprint: fingerprint.to_owned(), ..base.source };
    let items = predictions.rows.len();
    let additive = AdditivePart {
        items: (0..items).collect(),
        logits: additive.collect(),
        grids: vec![items],
        ..base.additive
    };
    Diagnosis {
        source,
        classes: predictions.classes.clone(),
        items: predictions.rows.iter().map(item).collect(),
        blank: ByModality { text: none.clone(), image: none.clone() },
        shuffled: ByModality { text: vec![none.clone(); 2], image: vec![none; 2] },
        plain,
        additive,
    }
}

#[test]
fn a_report_shows_diagnoses_that_fit_and_warns_of_others() {
    let mut results = Synthetic::new(crate::arms(0.5, 2.0)).results();
    let text = report(&results, &verdict(&results, 0.02).unwrap()).unwrap();
    assert!(text.contains("No run was diagnosed"), "{text}");
    for run in results.runs.iter_mut().filter(|run| run.id.arm == Arm::Both) {
        let fingerprint = run.test_split().unwrap().fingerprint.clone();
        run.diagnosis = Some(of_predictions(run.test.as_ref().unwrap(), &fingerprint));
    }
    let found = verdict(&results, 0.02).unwrap();
    assert!(found.alarms.is_empty(), "{:?}", found.alarms);
    let [of_vilt] = found.diagnoses.as_slice() else { panic!("{:?}", found.diagnoses) };
    assert_eq!((of_vilt.seeds, of_vilt.ledger_items), (3, of_vilt.items));
    // On all items the ledger is that of the predictions, and the additive part is the model.
    close(of_vilt.ledger.interaction.estimate.unwrap(), 0.0);
    let whole = &found.ledger[0];
    let near = |a: Option<f64>, b: Option<f64>| assert!((a.unwrap() - b.unwrap()).abs() < 1e-6);
    near(of_vilt.ledger.backbone.estimate, whole.backbone.gain);
    near(of_vilt.ledger.picture.estimate, whole.picture.gain);
    near(of_vilt.ledger.total.estimate, whole.total);
    let text = report(&results, &found).unwrap();
    for said in ["## What the models use", "| vilt-tiny | interaction |", "reliance, not need"] {
        assert!(text.contains(said), "{said}: {text}");
    }

    // Of another checkpoint, and of other data: not used, and said.
    for (place, run) in
        results.runs.iter_mut().filter(|run| run.id.arm == Arm::Both).take(2).enumerate()
    {
        let diagnosis = run.diagnosis.as_mut().unwrap();
        if place == 0 {
            diagnosis.plain[7] = vec![9.0, -9.0];
        } else {
            diagnosis.source.fingerprint = "other".to_owned();
        }
    }
    let found = verdict(&results, 0.02).unwrap();
    assert!(
        found.alarms[0].contains("2 of 3 runs have no diagnosis that fits"),
        "{:?}",
        found.alarms
    );
    assert_eq!(found.diagnoses[0].seeds, 1);
}
