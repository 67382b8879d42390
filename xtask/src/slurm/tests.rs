use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Programs under Slurm's names: an array runs at once, one task after the other, and is forgotten
/// when it ended.
fn programs(folder: &Path, sbatch: &str) -> PathBuf {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let squeue = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";
    for (name, text) in [("sbatch", sbatch), ("squeue", squeue), ("scontrol", "exit 1")] {
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    programs
}

const RUNS_ALL: &str = r#"
last=${2#--array=0-}
for task in $(seq 0 "${last%%%*}"); do
  SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task bash "${@: -1}" > /dev/null 2>&1 &
done
wait
echo 7"#;

fn slurm(folder: &Path, sbatch: &str) -> Slurm {
    Slurm {
        folder: folder.join("slurm"),
        job_name: "test".to_owned(),
        arguments: Vec::new(),
        at_once: Some(2),
        programs: programs(folder, sbatch),
    }
}

fn task(folder: &Path, name: &str, command: &str) -> Task {
    Task {
        name: name.to_owned(),
        words: ["bash", "-c", command].map(str::to_owned).to_vec(),
        log: folder.join(format!("{name}.log")),
    }
}

fn outcomes(slurm: &Slurm, tasks: &[Task]) -> Vec<(usize, Outcome)> {
    let mut all = Vec::new();
    slurm.run(tasks, &mut |task, outcome| all.push((task, outcome))).unwrap();
    all.sort_by_key(|(task, _)| *task);
    all
}

#[test]
fn each_task_runs_and_its_end_is_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let tasks =
        [task(folder, "good", "echo hello"), task(folder, "bad one", "echo no >&2; exit 3")];
    let slurm = slurm(folder, RUNS_ALL);
    let expected = vec![(0, Outcome::Ended(0)), (1, Outcome::Ended(3))];
    assert_eq!(outcomes(&slurm, &tasks), expected);
    assert_eq!(fs::read_to_string(&tasks[0].log).unwrap(), "hello\n");
    assert_eq!(fs::read_to_string(&tasks[1].log).unwrap(), "no\n");
    // Run again, an old end does not count: the task does.
    let again = [task(folder, "bad one", "exit 0")];
    assert_eq!(outcomes(&slurm, &again), [(0, Outcome::Ended(0))]);
}

#[test]
fn a_task_that_left_the_queue_without_an_end_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let slurm = slurm(place.path(), "echo 7");
    assert_eq!(outcomes(&slurm, &[task(place.path(), "a", "true")]), [(0, Outcome::Gone)]);
}

/// A call that ended while its job waits is taken up by the next: nothing is submitted twice.
#[test]
fn a_task_that_is_in_the_queue_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let slurm = slurm(folder, "echo 'submitted twice' >&2; exit 1");
    // Known to the queue, once it has failed to answer, until the task has ended.
    let (asked, ended) = (folder.join("asked"), folder.join("slurm/status/a"));
    let squeue = format!(
        "#!/bin/bash\necho x >> {asked}\nif [ $(wc -l < {asked}) = 2 ]; then\n  \
         echo 'Socket timed out' >&2; exit 1\nfi\n[ $(wc -l < {asked}) -lt 3 ] || \
         echo 'ended 0' > {ended}\necho 7_0\n",
        asked = asked.display(),
        ended = ended.display()
    );
    fs::write(slurm.programs.join("squeue"), squeue).unwrap();
    fs::create_dir_all(&slurm.folder).unwrap();
    fs::write(slurm.folder.join("submitted"), "6_3 a\n7_0 a\n").unwrap();
    let tasks = [task(folder, "a", "true")];
    assert_eq!(outcomes(&slurm, &tasks), [(0, Outcome::Ended(0))]);
    assert_eq!(slurm.job_of("a").unwrap().as_deref(), Some("7_0"));
    assert_eq!(slurm.job_of("b").unwrap(), None);
}

#[test]
fn what_sbatch_refuses_is_said() {
    let place = tempfile::tempdir().unwrap();
    let slurm = slurm(place.path(), "echo 'Invalid qos specification' >&2; exit 1");
    let error = slurm.run(&[task(place.path(), "a", "true")], &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("Invalid qos"), "{error}");
}
