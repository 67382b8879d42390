//! Runs that end in more than one sitting, however the one before ended.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mmc_run::RunFolder;
use mmc_train::{Outcome, Progress, TrainError, train};

use crate::bench::Bench;
use crate::told;

#[test]
fn a_run_stopped_at_any_step_ends_the_same() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    assert_eq!(whole.steps.len(), 16);
    for (name, save_every) in [("epochs", None), ("threes", Some(3))] {
        let plan = bench.plan(|asked| asked.save_every = save_every);
        let mut random = mmc_random::generator(1, mmc_random::Purpose::Simulation, 0, 0);
        let mut sittings = 0;
        loop {
            sittings += 1;
            let steps = 1 + mmc_random::below(4, &mut random) as u64;
            match bench.sit(&plan, name, Some(steps)) {
                Outcome::Interrupted { .. } => {}
                Outcome::Finished(_) => break,
                other => panic!("it was never finished: {other:?}"),
            }
        }
        assert!(sittings > 3, "{sittings}");
        bench.remains(name).assert_same(&whole, name);
    }
}

type Damage = fn(&RunFolder);

/// What a kill leaves behind: any prefix of what was written since the last state.
#[test]
fn what_a_kill_leaves_is_made_good() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    let plan = bench.plan(|_| ());
    let damages: &[(&str, Damage)] = &[
        ("records after the state, the last one torn", |folder| {
            let path = folder.train_path();
            let mut text = fs::read_to_string(&path).unwrap();
            text += &text.lines().last().unwrap().replace("\"step\":10", "\"step\":11");
            text += "\n{\"step\":12,\"epo";
            fs::write(&path, text).unwrap();
        }),
        ("the tail of the records gone", |folder| {
            let text = fs::read_to_string(folder.train_path()).unwrap();
            let kept: Vec<&str> = text.lines().take(9).collect();
            fs::write(folder.train_path(), kept.join("\n") + "\n").unwrap();
        }),
        ("the newest state cut short", |folder| {
            let path = folder.state().join("step-10/parameters.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("no state at all", |folder| fs::remove_dir_all(folder.state()).unwrap()),
        ("a state half written", |folder| {
            let state = folder.state();
            fs::rename(state.join("step-10"), state.join(".writing-10")).unwrap();
        }),
        ("no configuration", |folder| fs::remove_file(folder.config_path()).unwrap()),
        ("the checkpoint between its place and the old one's", |folder| {
            fs::rename(folder.checkpoint(), folder.state().join("checkpoint")).unwrap();
            fs::create_dir(folder.state().join(".checkpoint.7.partial")).unwrap();
        }),
        ("the checkpoint gone", |folder| fs::remove_dir_all(folder.checkpoint()).unwrap()),
        ("only the beginning", |folder| {
            fs::remove_dir_all(folder.initial()).unwrap();
            fs::remove_dir_all(folder.state()).unwrap();
        }),
    ];
    for (index, (name, damage)) in damages.iter().enumerate() {
        let run = format!("run{index}");
        let outcome = bench.sit(&plan, &run, Some(10));
        assert!(matches!(outcome, Outcome::Interrupted { step: 10 }), "{outcome:?}");
        damage(&RunFolder::open(&bench.out(&run)).unwrap());
        let outcome = bench.sit(&plan, &run, None);
        assert!(matches!(outcome, Outcome::Finished(_)), "{name}: {outcome:?}");
        bench.remains(&run).assert_same(&whole, name);
    }
}

#[test]
fn a_run_killed_while_it_finished_is_finished() {
    let bench = Bench::new();
    let whole = bench.run("run", |_| ());
    let plan = bench.plan(|_| ());
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    fs::remove_file(folder.cost_path()).unwrap();
    fs::remove_file(folder.predictions_path("test", "parquet")).unwrap();
    fs::remove_file(folder.scores_path()).unwrap();
    let mut steps = 0;
    let outcome = train(&plan, &folder, &AtomicBool::new(false), &mut |event| {
        steps += usize::from(matches!(event, Progress::Step { .. }));
    });
    assert!(matches!(outcome, Ok(Outcome::Finished(_))));
    assert_eq!(steps, 0, "every step was already taken");
    bench.remains("run").assert_same(&whole, "finished again");
}

#[test]
fn a_complete_run_is_left_alone() {
    let bench = Bench::new();
    bench.run("run", |_| ());
    let listing = || {
        let mut files = Vec::new();
        let mut folders = vec![bench.out("run")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let changed = entry.metadata().unwrap().modified().unwrap();
                    files.push((entry.path(), changed, fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    };
    let before = listing();
    let outcome = bench.sit(&bench.plan(|asked| asked.workers = Some(0)), "run", None);
    assert!(matches!(outcome, Outcome::AlreadyComplete));
    assert!(before == listing());
}

#[test]
fn another_run_is_not_gone_on_with() {
    let bench = Bench::new();
    bench.sit(&bench.plan(|_| ()), "run", Some(2));
    let folder = RunFolder::resume(&bench.out("run")).unwrap();
    let never = AtomicBool::new(false);
    let plan = bench.plan(|asked| {
        asked.learning_rate = Some(1e-3);
        asked.save_every = Some(5);
    });
    let error = train(&plan, &folder, &never, &mut |_| ()).unwrap_err();
    let message = error.to_string();
    assert!(error.is_usage() && matches!(error, TrainError::Differs { .. }), "{message}");
    assert!(message.contains("learning_rate") && !message.contains("save_every"), "{message}");

    let path = bench.root.join("train.csv");
    let text = fs::read_to_string(&path).unwrap().replacen("praise", "scorn", 1);
    fs::write(&path, text).unwrap();
    let error = train(&bench.plan(|_| ()), &folder, &never, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("the train split was"), "{error}");
}

/// SIGKILL at moments that fall anywhere in a run, ever later so that it gets on.
#[test]
fn a_process_killed_at_any_moment_ends_the_same() {
    let bench = Bench::new();
    let started = Instant::now();
    let whole = bench.run("whole", |_| ());
    let duration = started.elapsed();
    let mut random = mmc_random::generator(5, mmc_random::Purpose::Simulation, 0, 0);
    let mut kills = 0;
    for sitting in 1.. {
        let mut child = bench.child().spawn().unwrap();
        let part =
            0.1 + 0.1 * f64::from(sitting) * mmc_random::below(100, &mut random) as f64 / 100.0;
        std::thread::sleep(duration.mul_f64(part));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        kills += usize::from(!status.success());
        let folder = RunFolder::resume(&bench.out("child")).unwrap();
        if folder.is_complete() {
            break;
        }
    }
    assert!(kills > 1, "{kills}");
    bench.remains("child").assert_same(&whole, "killed");
}

#[test]
fn a_second_sitting_at_the_same_time_is_refused() {
    let bench = Bench::new();
    let plan = bench.plan(|_| ());
    let folder = RunFolder::create(&bench.out("run")).unwrap();
    let mut refused = None;
    let outcome = train(&plan, &folder, &AtomicBool::new(false), &mut |event| {
        if refused.is_none() && matches!(event, Progress::Step { .. }) {
            let (second, _) = told(&plan, &bench.out("run"));
            refused = Some(second.unwrap_err());
        }
    });
    assert!(matches!(outcome, Ok(Outcome::Finished(_))));
    let error = refused.unwrap();
    assert!(error.is_usage(), "{error}");
    assert!(error.to_string().contains("another process is at work on this run"), "{error}");
    assert_eq!(folder.steps().unwrap().len(), 16, "each step once");
    assert!(matches!(told(&plan, &bench.out("run")).0, Ok(Outcome::AlreadyComplete)));
}

#[test]
fn an_ended_run_that_was_damaged_is_finished_again() {
    let bench = Bench::new();
    let whole = bench.run("run", |_| ());
    let plan = bench.plan(|_| ());
    let out = bench.out("run");
    let damages: [(&str, Damage); 3] = [
        ("cost.json", |folder| fs::write(folder.cost_path(), "{").unwrap()),
        ("scores.json", |folder| fs::write(folder.scores_path(), "").unwrap()),
        ("model.safetensors", |folder| {
            fs::remove_file(folder.checkpoint().join("model.safetensors")).unwrap();
        }),
    ];
    for (name, damage) in damages {
        damage(&RunFolder::open(&out).unwrap());
        let (outcome, words) = told(&plan, &out);
        assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{name}");
        assert!(words[0].starts_with("the run had ended, but") && words[0].contains(name));
        bench.remains("run").assert_same(&whole, name);
    }
}

#[test]
fn a_run_that_begins_again_says_so() {
    let bench = Bench::new();
    let plan = bench.plan(|_| ());
    bench.sit(&plan, "run", Some(5));
    let out = bench.out("run");
    fs::remove_file(RunFolder::open(&out).unwrap().config_path()).unwrap();
    let (_, words) = told(&plan, &out);
    assert!(words[0].contains("`config.toml` is gone"), "{words:?}");

    bench.sit(&plan, "other", Some(2));
    let state = RunFolder::open(&bench.out("other")).unwrap().state();
    fs::remove_file(state.join("step-2/counters.json")).unwrap();
    let (_, words) = told(&plan, &bench.out("other"));
    let begins = |word: &String| word.ends_with("so the run begins again at its first step");
    assert!(words.iter().any(begins), "{words:?}");
}

#[test]
fn a_run_that_another_build_goes_on_with_says_so() {
    let bench = Bench::new();
    let plan = bench.plan(|_| ());
    bench.sit(&plan, "run", Some(5));
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    let ours = folder.config().unwrap().made_by();
    let (_, words) = told(&plan, &bench.out("run"));
    assert!(!words.iter().any(|word| word.contains("goes on with it")), "{words:?}");
    assert_eq!(folder.config().unwrap().made_by(), ours);

    bench.sit(&plan, "other", Some(5));
    let folder = RunFolder::open(&bench.out("other")).unwrap();
    let mut config = folder.config().unwrap();
    config.versions.insert("code".to_owned(), "000000000000".to_owned());
    folder.write_config(&config).unwrap();
    let (outcome, words) = told(&plan, &bench.out("other"));
    assert!(matches!(outcome, Ok(Outcome::Finished(_))));
    let said = words.iter().filter(|word| word.starts_with("the run was made by")).count();
    assert_eq!(said, 1, "{words:?}");
    let made_by = folder.config().unwrap().made_by();
    assert!(
        made_by.contains(", begun by mmc ") && made_by.contains("(code 000000000000)"),
        "{made_by}"
    );
    // It is what goes on from now on, too: an ended run is left as it is.
    bench.sit(&plan, "other", None);
    assert_eq!(folder.config().unwrap().made_by(), made_by);
}
