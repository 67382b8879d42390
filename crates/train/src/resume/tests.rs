use candle_core::Var;

use super::*;
use crate::variant::checksum_of_frozen;

fn parameters(value: f32) -> Vec<Parameter> {
    let parameter = |name: &str, value: f32, active| {
        let var = Var::new(&[value, 2.0 * value], &Device::Cpu).unwrap();
        Parameter { active, ..Parameter::new(name, var) }
    };
    vec![parameter("used", value, true), parameter("unused", 7.0, false)]
}

fn save_at(folder: &Path, step: u64, keep: usize) {
    let moments = Tensor::full(step as f32, (2, 2), &Device::Cpu).unwrap();
    let parameters = parameters(step as f32 + 0.1);
    let frozen = Some(checksum_of_frozen(&parameters).unwrap());
    let counters = Counters { step, frozen, ..Counters::default() };
    save(folder, &parameters, &[("used", &moments)], &counters, keep).unwrap();
}

fn step_of(folder: &Path) -> (Option<u64>, usize) {
    let parameters = parameters(0.0);
    let frozen = checksum_of_frozen(&parameters).unwrap();
    let (state, warnings) = newest(folder, |state| state.fits(&parameters, &frozen)).unwrap();
    (state.map(|state| state.counters.step), warnings.len())
}

#[test]
fn what_is_saved_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(step_of(&folder.path().join("none")), (None, 0));
    save_at(folder.path(), 3, 2);
    let (state, warnings) = newest(folder.path(), |_| Ok(())).unwrap();
    assert!(warnings.is_empty());
    let target = parameters(0.0);
    let moments = state.unwrap().restore(&target).unwrap();
    assert_eq!(moments[0].to_vec2::<f32>().unwrap(), [[3.0, 3.0], [3.0, 3.0]]);
    let values = target.iter().map(|parameter| parameter.var.to_vec1::<f32>().unwrap());
    assert_eq!(values.collect::<Vec<_>>(), [[3.1, 6.2], [7.0, 14.0]]);
}

#[test]
fn what_does_not_train_is_not_saved_and_must_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    save_at(folder.path(), 3, 2);
    let (state, _) = newest(folder.path(), |_| Ok(())).unwrap();
    let state = state.unwrap();
    assert!(!state.parameters.contains_key("unused"));
    let mut other = parameters(0.0);
    other[1].var = Var::new(&[7.0_f32, 14.5], &Device::Cpu).unwrap();
    let frozen = checksum_of_frozen(&other).unwrap();
    let problem = state.fits(&other, &frozen).unwrap_err();
    assert!(problem.starts_with("what does not train is not what"), "{problem}");
}

#[test]
fn only_the_newest_are_kept_and_unfinished_ones_swept() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".writing-9")).unwrap();
    for step in [9, 10, 11] {
        save_at(folder.path(), step, 2);
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-10", "step-11"]);
}

#[test]
fn a_warning_says_what_is_taken_instead() {
    let folder = tempfile::tempdir().unwrap();
    save_at(folder.path(), 1, 2);
    save_at(folder.path(), 2, 2);
    assert_eq!(newest_step(folder.path()), Some(2));
    let warning = |usable: fn(&State) -> Result<(), String>| {
        newest(folder.path(), usable).unwrap().1.join("\n")
    };
    let words =
        warning(
            |state| {
                if state.counters.step == 1 { Ok(()) } else { Err("it is odd".to_owned()) }
            },
        );
    assert!(words.ends_with("it is odd; the run goes on from the state of step 1"), "{words}");
    let words = warning(|_| Err("it is odd".to_owned()));
    assert_eq!(words.lines().count(), 2);
    assert!(words.ends_with("so the run begins again at its first step"), "{words}");
}

#[test]
fn a_damaged_state_gives_way_to_the_one_before() {
    for file in [PARAMETERS, MOMENTS, COUNTERS, CHECKSUMS] {
        let folder = tempfile::tempdir().unwrap();
        save_at(folder.path(), 1, 2);
        save_at(folder.path(), 2, 2);
        let path = folder.path().join("step-2").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(step_of(folder.path()), (Some(1), 1), "{file} cut short");
        let mut flipped = whole.clone();
        let last = flipped.len() - 4;
        flipped[last] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(step_of(folder.path()), (Some(1), 1), "{file} with a bit turned");
        fs::remove_file(&path).unwrap();
        assert_eq!(step_of(folder.path()), (Some(1), 1), "{file} gone");
    }
}

/// A state of an earlier version says nothing of it.
#[test]
fn an_evaluation_is_due_only_where_the_state_says_so() {
    let due = Counters { step: 3, evaluation_due: true, ..Counters::default() };
    let text = serde_json::to_string(&due).unwrap();
    assert_eq!(serde_json::from_str::<Counters>(&text).unwrap(), due);
    let usual = serde_json::to_string(&Counters { evaluation_due: false, ..due }).unwrap();
    assert!(!usual.contains("evaluation_due"), "{usual}");
    assert!(!serde_json::from_str::<Counters>(&usual).unwrap().evaluation_due);
}

/// Whenever a kill comes while a state takes the place of one of its step, one of the two is there.
#[test]
fn a_state_that_is_replaced_is_there_until_the_other_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    save_at(folder.path(), 4, 2);
    save_at(folder.path(), 4, 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    assert_eq!(step_of(folder.path()), (Some(4), 0));

    fs::rename(at("step-4"), at(".replaced-4")).unwrap(); // between the renames
    fs::create_dir(at(".writing-4")).unwrap();
    assert_eq!(step_of(folder.path()), (Some(4), 0));
    assert!(!at(".writing-4").exists() && !at(".replaced-4").exists());

    fs::create_dir(at(".replaced-4")).unwrap(); // behind both
    assert_eq!(step_of(folder.path()), (Some(4), 0));
    assert!(!at(".replaced-4").exists());
}
