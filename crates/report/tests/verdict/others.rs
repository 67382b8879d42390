//! Published figures beside ours, claims of others, and what the picture costs for what it brings.

use std::fs;

use mmc_data::Arm;
use mmc_report::{
    Judgement, PUBLISHED, PerExtra, Verdict, html_report, read_results, report, verdict,
};
use mmc_run::Prices;

use super::arms;
use super::synthetic::{Synthetic, arm};

const PUBLISHED_FIGURES: &str = r#"
dataset = "hateful_memes"

[[figures]]
name = "BERT"
model = "bert-tiny"
split = "test_unseen"
metric = "auroc"
value = 0.7
source = "a paper"
sure = "quoted"

[[figures]]
name = "ViLT"
model = "vilt-tiny"
metric = "auroc"
value = 0.7
source = "memory"
sure = "memory"

[[claims]]
words = "ViLT is far above BERT."
kind = "gain"
baseline = "bert-tiny"
candidate = "vilt-tiny"
measure = "auroc"
value = 0.3
source = "a study"

[[claims]]
words = "CLIP gains nothing."
kind = "no_gain"
baseline = "bert-tiny"
candidate = "clip-tiny"
measure = "auroc"
source = "a study"

[[claims]]
words = "CLIP is above ViLT."
kind = "gain"
baseline = "vilt-tiny"
candidate = "clip-tiny"
measure = "auroc"
source = "a study"

[[claims]]
words = "FLAVA is above BERT."
kind = "gain"
baseline = "bert-tiny"
candidate = "flava-tiny"
measure = "accuracy"
source = "a study"

[[claims]]
words = "A multimodal model takes 3 times the time."
kind = "ratio"
baseline = "bert-tiny"
measure = "seconds_per_step"
value = 3.0
source = "a study"

[[claims]]
words = "A multimodal model takes 9 times the memory."
kind = "ratio"
baseline = "bert-tiny"
measure = "peak_memory_bytes"
value = 9.0
source = "a study"
"#;

fn judged(truth: Option<&'static str>) -> (Verdict, String) {
    let mut truths = arms(1.0, 2.2);
    truths.push(arm("clip-tiny", Arm::Both, 1.0));
    truths.push(arm("clip-tiny", Arm::Text, 1.0));
    let experiment = Synthetic { truth, items: 300, ..Synthetic::new(truths) };
    let folder = tempfile::tempdir().unwrap();
    experiment.write(folder.path());
    fs::write(folder.path().join(PUBLISHED), PUBLISHED_FIGURES).unwrap();
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    let text = report(&results, &verdict).unwrap();
    (verdict, text)
}

#[test]
fn a_claim_is_confirmed_refuted_or_not_decidable_and_says_why() {
    use Judgement::{Confirmed, NotDecidable, Refuted};
    let (verdict, text) = judged(None);
    let found: Vec<Judgement> = verdict.claims.iter().map(|claim| claim.judgement).collect();
    assert_eq!(found, [Confirmed, NotDecidable, Refuted, NotDecidable, Confirmed, Refuted]);
    let why = |at: usize| verdict.claims[at].why.as_str();
    assert!(why(0).contains("the +30.0 points claimed lie outside it"), "{}", why(0));
    assert!(why(1).contains("neither shown better nor shown to gain less"), "{}", why(1));
    assert_eq!(why(3), "there is no complete run of flava-tiny");
    assert!(why(4).contains("vilt-tiny 3.0×, clip-tiny 3.0×"), "{}", why(4));
    assert!((verdict.claims[4].ours.unwrap() - 3.0).abs() < 1e-9);
    assert!(text.contains("| ViLT is far above BERT. | confirmed | +0.300 |"), "{text}");
}

#[test]
fn ours_stands_beside_theirs_on_the_same_split_alone() {
    let (verdict, text) = judged(None);
    let [bert, vilt] = &verdict.published[..] else { panic!("two figures") };
    let ours = verdict.scores[0].mean.unwrap();
    assert!((bert.ours.unwrap() - ours).abs() < 1e-12);
    assert!((bert.difference.unwrap() - (ours - 0.7)).abs() < 1e-12);
    assert!(!bert.far_below);
    assert_eq!((vilt.ours, vilt.absent.as_deref()), (None, Some("its split is not stated")));
    assert!(text.contains("## Published beside ours"));
}

#[test]
fn generated_data_decides_no_claim_and_stands_beside_no_figure() {
    let (verdict, text) = judged(Some("image"));
    assert!(verdict.published.is_empty() && verdict.claims.len() == 6);
    for claim in &verdict.claims {
        assert_eq!(claim.judgement, Judgement::NotDecidable);
        assert!(claim.why.starts_with("generated data"), "{}", claim.why);
    }
    assert!(!text.contains("## Published beside ours"));
}

#[test]
fn published_figures_with_a_mistake_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    Synthetic::new(arms(1.0, 2.0)).write(folder.path());
    let wrong = PUBLISHED_FIGURES.replace("split =", "spilt =");
    fs::write(folder.path().join(PUBLISHED), wrong).unwrap();
    let error = read_results(folder.path()).unwrap_err().to_string();
    assert!(error.contains("unknown key `figures.spilt`, did you mean `split`?"), "{error}");
}

#[test]
fn one_more_correct_decision_has_a_price_with_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    Synthetic::new(arms(0.5, 2.5)).write(folder.path());
    let mut results = read_results(folder.path()).unwrap();
    let unpriced = verdict(&results, 0.02).unwrap();
    assert!(report(&results, &unpriced).unwrap().contains("No prices were given"));
    results.record.prices =
        Prices { price_per_hour: Some(7.2), watts: Some(100.0), value_per_correct: Some(1.0) };
    let verdict = verdict(&results, 0.02).unwrap();
    let benefit = &verdict.benefits[0];
    let PerExtra::Price { seconds, money, .. } = &benefit.per_extra else { panic!("a price") };
    // 0.003 seconds a prediction against 0.001, over the difference in accuracy.
    let gain = benefit.extra_correct.unwrap();
    assert!((seconds.estimate.unwrap() - 0.002 / gain).abs() < 1e-12);
    let interval = benefit.extra_correct_interval.unwrap();
    assert!((seconds.low - 0.002 / interval.high).abs() < 1e-12);
    assert!((seconds.high.unwrap() - 0.002 / interval.low).abs() < 1e-12);
    assert!((money.unwrap().estimate.unwrap() - 0.002 / gain * 0.002).abs() < 1e-12);
    let text = report(&results, &verdict).unwrap();
    assert!(text.contains("money for one more correct") && text.contains("watt hours"));
    assert!(html_report(&results, &verdict).contains("money for one more correct"));
    // The cheap text arm and the best are on the front, and nothing between.
    assert!(verdict.pareto.contains(&"vilt-tiny (both)".to_owned()));
}

#[test]
fn the_margin_is_one_of_the_primary_metric_alone() {
    let published = r#"
dataset = "hateful_memes"

[[figures]]
name = "BERT"
model = "bert-tiny"
split = "test_unseen"
metric = "brier"
value = 0.01
deviation = 0.01
source = "a paper"
sure = "quoted"

[[claims]]
words = "ViLT is above BERT."
kind = "gain"
baseline = "bert-tiny"
candidate = "vilt-tiny"
measure = "accuracy"
source = "a study"

[[claims]]
words = "BERT is above ViLT."
kind = "gain"
baseline = "vilt-tiny"
candidate = "bert-tiny"
measure = "accuracy"
source = "a study"

[[claims]]
words = "BERT gains nothing."
kind = "no_gain"
baseline = "vilt-tiny"
candidate = "bert-tiny"
measure = "accuracy"
source = "a study"
"#;
    let folder = tempfile::tempdir().unwrap();
    Synthetic::new(arms(1.0, 2.2)).write(folder.path());
    fs::write(folder.path().join(PUBLISHED), published).unwrap();
    let results = read_results(folder.path()).unwrap();
    // A margin that no gain reaches.
    let verdict = verdict(&results, 0.9).unwrap();
    let found: Vec<Judgement> = verdict.claims.iter().map(|claim| claim.judgement).collect();
    assert_eq!(found, [Judgement::Confirmed, Judgement::Refuted, Judgement::NotDecidable]);
    assert!(verdict.claims[0].why.starts_with("shown better, from 3 and 3 seeds"));
    assert!(verdict.claims[2].why.contains("margin is of another metric"));
    // Of the Brier score less is better: ours is far above, so far worse.
    assert!(verdict.published[0].far_below);
    assert!(verdict.published[0].difference.unwrap() > 0.1);
}
