//! Planning, equivalence, temperature, thresholds and almost stochastic order against scipy,
//! scikit-learn and simulation (`cargo xtask references planning`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::MetricError;
use mmc_metrics::delong::delong_paired_clustered;
use mmc_metrics::dominance::almost_stochastic_order;
use mmc_metrics::equivalence::{equivalence, non_inferiority};
use mmc_metrics::looks::{Looks, seeds_still_help};
use mmc_metrics::noncentral::{chi_square_quantile, noncentral_t_cdf};
use mmc_metrics::power::{
    Components, Design, Needed, Rule, TARGET, chances, connor_items, delong_items,
    deviation_factors, items_needed, seeds_needed,
};
use mmc_metrics::temperature::fit_temperature;
use mmc_metrics::threshold::{Objective, best_threshold};
use mmc_metrics::two_way::{Pairing, Runs, TwoWay, two_way};
use mmc_random::{Purpose, generator, standard_normal};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn reference<T: DeserializeOwned>(key: &str) -> T {
    let file: Value = serde_json::from_str(include_str!("planning.json")).unwrap();
    serde_json::from_value(file[key].clone()).unwrap()
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found:e}, expected {expected:e}");
}

#[test]
fn distributions_are_scipys() {
    let rows: Vec<[f64; 4]> = reference("noncentral_t");
    for [t, df, shift, expected] in rows {
        // scipy's own series stops at about 1e-11.
        close(noncentral_t_cdf(t, df, shift), expected, 1e-9);
    }
    close(noncentral_t_cdf(1.0, f64::INFINITY, 1.0), 0.5, 1e-15);
    let rows: Vec<[f64; 3]> = reference("chi_square");
    for [probability, df, expected] in rows {
        close(chi_square_quantile(probability, df), expected, 1e-9 * (1.0 + expected));
    }
    let rows: Vec<(usize, [f64; 2])> = reference("deviations");
    for (seeds, [low, high]) in rows {
        let found = deviation_factors(seeds, 0.95).unwrap();
        close(found.low, low, 1e-9);
        close(found.high, high, 1e-9 * high);
    }
    assert!(deviation_factors(1, 0.95).is_err());
}

const RULE: Rule = Rule { margin: 0.02, lower_level: 0.95, upper_level: 0.95 };

fn components(seed_deviation: f64) -> Components {
    let seeds = [seed_deviation * seed_deviation; 2];
    Components { seeds, common: 0.18, residual: [0.05; 2], cluster_items: 1.0 }
}

#[test]
fn chances_are_those_of_simulated_experiments() {
    let rows: Vec<Value> = reference("chances");
    for row in rows {
        let get = |key: &str| row[key].as_f64().unwrap();
        let tau = get("tau");
        let design = Design { items: get("items") as u64, seeds: get("seeds") as u64 };
        let parts = Components {
            seeds: [tau * tau; 2],
            common: get("omega"),
            residual: [get("epsilon"); 2],
            cluster_items: 1.0,
        };
        let found = chances(&parts, design, &RULE, get("gain")).unwrap();
        for (found, key) in [(found.candidate, "candidate"), (found.baseline, "baseline")] {
            let expected = get(key);
            // Five binomial standard errors of the simulation.
            close(found, expected, 5.0 * (expected.max(1e-5) / get("draws")).sqrt());
        }
        close(found.candidate + found.baseline + found.undecided, 1.0, 1e-12);
    }
}

#[test]
fn the_smallest_design_is_found_or_none() {
    for gain in [0.0, 0.005, 0.04, 0.06] {
        let chance = |items, seeds| {
            let found = chances(&components(0.012), Design { items, seeds }, &RULE, gain).unwrap();
            found.of(RULE.right(gain))
        };
        let Needed::Enough(items) = items_needed(&components(0.012), 12, &RULE, gain).unwrap()
        else {
            panic!("twelve seeds decide {gain}")
        };
        assert!(chance(items, 12) >= TARGET && chance(items - 1, 12) < TARGET, "{gain}: {items}");
        let Needed::Enough(seeds) = seeds_needed(&components(0.012), 20_000, &RULE, gain).unwrap()
        else {
            panic!("20,000 items decide {gain}")
        };
        assert!(chance(20_000, seeds) >= TARGET && chance(20_000, seeds - 1) < TARGET);
    }
    let none = |found: Needed| match found {
        Needed::None(why) => why,
        Needed::Enough(number) => panic!("{number} is not enough"),
    };
    let why = none(seeds_needed(&components(0.012), 500, &RULE, 0.0).unwrap());
    assert!(why.starts_with("no number of seeds will do: 500 items alone"), "{why}");
    let why = none(items_needed(&components(0.05), 3, &RULE, 0.0).unwrap());
    assert!(why.starts_with("no number of items will do: 3 seeds alone"), "{why}");
    let why = none(items_needed(&components(0.012), 5, &RULE, 0.02).unwrap());
    assert!(why.contains("equals the margin"), "{why}");
}

#[test]
fn impossible_plans_err() {
    let design = Design { items: 500, seeds: 1 };
    let error = chances(&components(0.01), design, &RULE, 0.0).unwrap_err();
    assert_eq!(error, MetricError::TooFew { what: "seeds", found: 1, expected: 2 });
    let design = Design { items: 500, seeds: 3 };
    let nothing =
        Components { seeds: [0.0; 2], common: 0.0, residual: [0.0; 2], cluster_items: 1.0 };
    assert!(chances(&nothing, design, &RULE, 0.0).is_err());
    let negative = Components { common: -1.0, ..components(0.01) };
    assert!(chances(&negative, design, &RULE, 0.0).is_err());
    assert!(chances(&components(0.01), design, &Rule { margin: 0.0, ..RULE }, 0.0).is_err());
    assert!(chances(&components(0.01), design, &RULE, f64::NAN).is_err());
}

/// Components from simulated runs with known ones, on average over repeats.
#[test]
fn components_are_recovered() {
    let (n, k, repeats) = (400, 4, 200);
    let (tau, common, own) = (0.03, [0.4_f64, 0.5], [0.3_f64, 0.2]);
    let mut sum = [0.0; 5];
    for repeat in 0..repeats {
        let mut random = generator(repeat, Purpose::Simulation, 7, 0);
        let mut draw =
            |n: usize| -> Vec<f64> { (0..n).map(|_| standard_normal(&mut random)).collect() };
        let mut files: Vec<Vec<f64>> = Vec::new();
        for side in 0..2 {
            let shared = draw(n);
            for _ in 0..k {
                let (noise, shift) = (draw(n), tau * draw(1)[0]);
                let value = |i: usize| shift + common[side] * shared[i] + own[side] * noise[i];
                files.push((0..n).map(value).collect());
            }
        }
        let mean = |file: &[f64]| file.iter().sum::<f64>() / n as f64;
        let cell = |a: &[f64], b: &[f64]| -> f64 {
            let (ma, mb) = (mean(a), mean(b));
            let products: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
            products / (n as f64 - 1.0) / n as f64
        };
        let covariance: Vec<Vec<f64>> =
            files.iter().map(|a| files.iter().map(|b| cell(a, b)).collect()).collect();
        let means: Vec<f64> = files.iter().map(|file| mean(file)).collect();
        let (baseline, candidate) = means.split_at(k);
        let runs = Runs { baseline, candidate, covariance: &covariance, item_df: None };
        let found = Components::estimate(&runs, n).unwrap();
        let values =
            [found.seeds[0], found.seeds[1], found.common, found.residual[0], found.residual[1]];
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value / repeats as f64;
        }
    }
    let expected = [tau * tau, tau * tau, 0.16 + 0.25, 0.09, 0.04];
    // The variance over four seeds has a relative error of √(2/3): 0.06 over 200 repeats; three of
    // these, the same for the rest, whose errors are smaller.
    for (found, expected) in sum.into_iter().zip(expected) {
        close(found, expected, 0.18 * expected);
    }
}

#[test]
fn sample_sizes_of_one_pair_are_the_published_ones() {
    // Connor's formula for 20 % discordant items and two points; the unpaired one would ask for more.
    close(connor_items(0.2, 0.02, 0.05, 0.8).unwrap(), 3_922.0, 0.5);
    // An item deviation of 0.42 and two points.
    let items = delong_items(0.42 * 0.42 / 500.0, 500, 0.02, 0.05, 0.8).unwrap();
    close(items, 3_461.4, 0.1);
    assert!(
        connor_items(0.01, 0.02, 0.05, 0.8).is_err() && connor_items(0.2, 0.0, 0.05, 0.8).is_err()
    );
    assert!(delong_items(0.0, 500, 0.02, 0.05, 0.8).is_err());
}

#[test]
fn one_sided_tests_are_scipys() {
    let rows: Vec<Value> = reference("equivalence");
    for row in rows {
        let gaps: Vec<f64> = serde_json::from_value(row["gaps"].clone()).unwrap();
        let margin = row["margin"].as_f64().unwrap();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / (n - 1.0) / n;
        let estimate = TwoWay {
            difference: mean,
            v_a: 0.0,
            v_b: variance,
            seed_variance: variance,
            c: 0.0,
            variance,
            df: Some(n - 1.0),
        };
        let found = equivalence(&estimate, margin, 0.05).unwrap();
        close(found.p_lower, row["lower"].as_f64().unwrap(), 1e-9);
        close(found.p_upper, row["upper"].as_f64().unwrap(), 1e-9);
        close(found.interval.low, row["interval"][0].as_f64().unwrap(), 1e-9);
        close(found.interval.high, row["interval"][1].as_f64().unwrap(), 1e-9);
        let inside = found.interval.low > -margin && found.interval.high < margin;
        assert_eq!(found.p_value < 0.05, inside);
        let worse = non_inferiority(&estimate, margin, 0.05).unwrap();
        assert_eq!(worse.p_value, found.p_lower);
        assert_eq!(worse.p_value < 0.05, worse.bound > -margin);
        assert!(equivalence(&estimate, 0.0, 0.05).is_err());
        assert!(equivalence(&TwoWay { variance: 0.0, ..estimate }, margin, 0.05).is_err());
    }
}

#[test]
fn looks_share_the_error_rate() {
    let looks = Looks::two(0.05).unwrap();
    close(looks.alphas()[0], 0.01, 1e-15);
    close(looks.level(1).unwrap(), 0.96, 1e-15);
    assert!(looks.level(2).unwrap_err().to_string().contains("2 looks were planned"));
    assert!(Looks::split(0.05, &[0.5, 0.6]).is_err() && Looks::split(0.05, &[]).is_err());
    assert!(Looks::split(0.05, &[1.5, -0.5]).is_err());
    // Seeds hold a fifth of the variance: the edge.
    let covariance = vec![vec![1.0, 0.5, 0.0, 0.0]; 4];
    let runs = Runs {
        baseline: &[0.1, 0.2],
        candidate: &[0.3, 0.5],
        covariance: &covariance,
        item_df: None,
    };
    let estimate = two_way(&runs, Pairing::Unpaired).unwrap();
    assert!(seeds_still_help(&TwoWay { c: 4.0 * estimate.seed_variance, ..estimate }));
    assert!(!seeds_still_help(&TwoWay { c: 4.1 * estimate.seed_variance, ..estimate }));
}

/// Pure seed noise, looked at after each seed from three on: stopping at p < 0.05 cries wolf three
/// times too often, two planned looks do not.
#[test]
fn planned_looks_hold_the_error_rate() {
    let repeats = 2_000;
    let looks = Looks::two(0.05).unwrap();
    let zero = vec![vec![0.0; 20]; 20];
    let (mut eager, mut planned) = (0, 0);
    for repeat in 0..repeats {
        let mut random = generator(repeat, Purpose::Simulation, 8, 0);
        let scores: Vec<[f64; 2]> =
            (0..10).map(|_| [standard_normal(&mut random), standard_normal(&mut random)]).collect();
        let p_after = |k: usize| {
            let side = |s: usize| -> Vec<f64> { scores[..k].iter().map(|pair| pair[s]).collect() };
            let (a, b) = (side(0), side(1));
            let covariance: Vec<Vec<f64>> =
                zero[..2 * k].iter().map(|row| row[..2 * k].to_vec()).collect();
            let (baseline, candidate) = (a.as_slice(), b.as_slice());
            let runs = Runs { baseline, candidate, covariance: &covariance, item_df: None };
            two_way(&runs, Pairing::Unpaired).unwrap().p_value()
        };
        eager += usize::from((3..=10).any(|k| p_after(k) < 0.05));
        let at = |look: usize, k| p_after(k) < 1.0 - looks.level(look).unwrap();
        planned += usize::from(at(0, 3) || at(1, 10));
    }
    let share = |count: usize| count as f64 / repeats as f64;
    assert!(share(planned) <= 0.05 + 3.0 * (0.05_f64 * 0.95 / 2_000.0).sqrt(), "{planned}");
    assert!(share(eager) > 0.12, "{eager}");
}

#[test]
fn temperatures_are_where_scipy_finds_the_minimum() {
    let rows: Vec<Value> = reference("temperature");
    for row in rows {
        let logits: Vec<Vec<f64>> = serde_json::from_value(row["logits"].clone()).unwrap();
        let labels: Vec<usize> = serde_json::from_value(row["labels"].clone()).unwrap();
        let found = fit_temperature(&logits, &labels).unwrap();
        let get = |key: &str| row[key].as_f64().unwrap();
        close(found.before, get("before"), 1e-9);
        close(found.after, get("after"), 1e-9);
        // scipy minimises the loss, which is flat: half the digits of it.
        close(found.temperature, get("temperature"), 1e-5 * get("temperature"));
        assert!(found.after <= found.before);
        let scaled = found.apply(&logits);
        let again = fit_temperature(&scaled, &labels).unwrap();
        close(again.temperature, 1.0, 1e-9);
        close(again.before, found.after, 1e-12);
    }
    let (right, wrong) = (vec![vec![0.0, 1.0], vec![2.0, 0.0]], [1, 0]);
    assert!(
        fit_temperature(&right, &wrong).unwrap_err().to_string().contains("every item is right")
    );
    assert!(fit_temperature(&right, &[0, 1]).unwrap_err().to_string().contains("do not speak"));
    assert!(fit_temperature(&[], &[]).is_err() && fit_temperature(&right, &[0, 2]).is_err());
}

#[test]
fn thresholds_are_the_best_of_scikit_learns() {
    let rows: Vec<Value> = reference("thresholds");
    for row in rows {
        let scores: Vec<f64> = serde_json::from_value(row["scores"].clone()).unwrap();
        let positive: Vec<bool> = serde_json::from_value(row["positive"].clone()).unwrap();
        let objectives =
            [("f1", Objective::F1), ("balanced_accuracy", Objective::BalancedAccuracy)];
        for (name, objective) in objectives {
            let found = best_threshold(&scores, &positive, objective).unwrap();
            close(found.value, row[name]["value"].as_f64().unwrap(), 1e-11);
            assert_eq!(found.threshold, row[name]["threshold"].as_f64().unwrap(), "{name}");
            let called = found.apply(&scores).iter().sum::<usize>();
            assert_eq!(called, scores.iter().filter(|score| **score >= found.threshold).count());
        }
    }
    // Thresholds 0.4 and 0.2 are equally good by hand: ½(½ + 1) and ½(1 + ½).
    let found = best_threshold(
        &[0.4, 0.3, 0.2, 0.1],
        &[true, false, true, false],
        Objective::BalancedAccuracy,
    );
    assert_eq!((found.clone().unwrap().threshold, found.unwrap().value), (0.4, 0.75));
    assert!(best_threshold(&[0.1, 0.2], &[true, true], Objective::F1).is_err());
}

#[test]
fn almost_stochastic_order_follows_its_definition() {
    let rows: Vec<Value> = reference("dominance");
    for row in rows {
        let get = |key: &str| -> Vec<f64> { serde_json::from_value(row[key].clone()).unwrap() };
        let found = almost_stochastic_order(&get("a"), &get("b"), 0.95, 500, 0).unwrap();
        close(found.violation, row["violation"].as_f64().unwrap(), 1e-9);
        assert!(found.upper >= found.violation && found.upper <= 1.0);
        let back = almost_stochastic_order(&get("b"), &get("a"), 0.95, 500, 0).unwrap();
        close(back.violation + found.violation, 1.0, 1e-12);
    }
    let above = almost_stochastic_order(&[0.9, 0.8], &[0.1, 0.2, 0.3], 0.95, 500, 0).unwrap();
    assert_eq!((above.violation, above.upper), (0.0, 0.0));
    assert!(almost_stochastic_order(&[0.5, 0.6], &[0.6, 0.5], 0.95, 500, 0).is_err());
    assert!(almost_stochastic_order(&[0.5], &[0.6, 0.5], 0.95, 500, 0).is_err());
}

/// The published form of Obuchowski (1997), from pairs, where every cluster has both classes: there
/// it equals the linearised form.
#[test]
fn clustered_delong_is_obuchowskis() {
    let (groups, size) = (25, 4);
    let n = groups * size;
    let mut random = generator(3, Purpose::Simulation, 9, 0);
    let clusters: Vec<usize> = (0..n).map(|item| item / size).collect();
    let positive: Vec<bool> = (0..n).map(|item| item % size < 1 + item / size % 3).collect();
    let shared: Vec<f64> = (0..groups).map(|_| standard_normal(&mut random)).collect();
    let mut scores = || -> Vec<f64> {
        let score = |item: usize| {
            let signal = if positive[item] { 0.8 } else { 0.0 };
            (4.0 * (signal + shared[item / size] + standard_normal(&mut random))).round()
        };
        (0..n).map(score).collect()
    };
    let files = [scores(), scores()];
    let found = delong_paired_clustered(&files[0], &files[1], &positive, &clusters).unwrap();
    let count = |class: bool| positive.iter().filter(|p| **p == class).count() as f64;
    let (m, l) = (count(true), count(false));
    let win = |a: f64, b: f64| if a > b { 1.0 } else { f64::from(u8::from(a >= b)) * 0.5 };
    // Sums over a cluster's positives (or negatives) of their placements less the AUROC.
    let sums = |scores: &[f64], auroc: f64, class: bool| -> Vec<f64> {
        let placement = |i: usize| {
            let other = (0..n).filter(|j| positive[*j] != class);
            let wins: f64 = other
                .map(|j| if class { win(scores[i], scores[j]) } else { win(scores[j], scores[i]) })
                .sum();
            wins / if class { l } else { m } - auroc
        };
        let member = |g: usize| (g * size..(g + 1) * size).filter(|i| positive[*i] == class);
        (0..groups).map(|g| member(g).map(placement).sum()).collect()
    };
    let parts: Vec<[Vec<f64>; 2]> = files
        .iter()
        .zip(found.auroc)
        .map(|(scores, auroc)| [sums(scores, auroc, true), sums(scores, auroc, false)])
        .collect();
    let g = groups as f64;
    let dot =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() * g / (g - 1.0);
    for i in 0..2 {
        for j in 0..2 {
            let ([a1, a0], [b1, b0]) = (&parts[i], &parts[j]);
            let expected = dot(a1, b1) / (m * m)
                + dot(a0, b0) / (l * l)
                + (dot(a1, b0) + dot(a0, b1)) / (m * l);
            close(found.covariance[i][j], expected, 1e-12);
        }
    }
    let singles: Vec<usize> = (0..n).collect();
    let alone = delong_paired_clustered(&files[0], &files[1], &positive, &singles).unwrap();
    let plain = mmc_metrics::delong_paired(&files[0], &files[1], &positive).unwrap();
    assert!((alone.standard_error / plain.standard_error - 1.0).abs() < 0.02);
    assert!(delong_paired_clustered(&files[0], &files[1], &positive, &vec![0; n]).is_err());
}

#[test]
fn clusters_and_not_items_bound_the_degrees_of_freedom() {
    // 400 items in 10 clusters, all alike within: without variance over seeds t has 9 degrees of
    // freedom, and the forecast of independent items is too bright.
    let labels = vec![0; 400];
    let hits = |file: usize| -> Vec<usize> {
        (0..400).map(|item| usize::from((item / 40 * 7 + file / 2) % 10 < 3)).collect()
    };
    let files: Vec<Vec<usize>> = (0..4).map(hits).collect();
    let flat = vec![vec![0.5, 0.5]; 400];
    let clusters: Vec<usize> = (0..400).map(|item| item / 40).collect();
    let of = |file: usize, clustered: bool| mmc_metrics::Items {
        clusters: clustered.then_some(clusters.as_slice()),
        ..mmc_metrics::Items::new(&labels, &files[file], &flat, 2)
    };
    let accuracy = mmc_metrics::metric("accuracy").unwrap();
    let estimate = |clustered: bool| {
        let sides = [[of(0, clustered), of(1, clustered)], [of(2, clustered), of(3, clustered)]];
        mmc_metrics::pilot::of_two_models(accuracy, &sides[0], &sides[1], 0).unwrap()
    };
    let (grouped, alone) = (estimate(true), estimate(false));
    assert!(
        (grouped.cluster_items - 40.0).abs() < 1e-9 && (alone.cluster_items - 1.0).abs() < 1e-9
    );
    let design = Design { items: 400, seeds: 2 };
    let chance =
        |parts: &Components| chances(parts, design, &RULE, 2.0 * RULE.margin).unwrap().candidate;
    let many = Components { cluster_items: 1.0, ..grouped };
    assert!(chance(&grouped) < chance(&many), "{} and {}", chance(&grouped), chance(&many));
}
