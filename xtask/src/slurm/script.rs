//! The batch script of a job array.
//!
//! Ninety seconds before its time limit the job is sent `USR1`: it lets the command save its state
//! (`TERM`), and asks Slurm to queue it again, where it goes on. A cancelled job gets `TERM`, saves
//! its state too, and stays away until somebody submits it again.

use std::path::Path;

use super::Task;

/// The line of a list that runs a task: its status file, its log, and the command.
pub(super) fn line(task: &Task, status: &Path) -> String {
    let words = [status.display().to_string(), task.log.display().to_string()];
    let words: Vec<String> = words.iter().chain(&task.words).map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

pub(super) fn text(job_name: &str, folder: &Path, list: &Path, scontrol: &Path) -> String {
    let [folder, list, scontrol] = [folder, list, scontrol].map(|path| path.display().to_string());
    let (list, scontrol) = (quoted(&list), quoted(&scontrol));
    // `sbatch` reads its own lines without a shell, so what stands there is not quoted.
    format!(
        r#"#!/bin/bash
#SBATCH --job-name={job_name}
#SBATCH --requeue
#SBATCH --signal=B:USR1@90
#SBATCH --open-mode=append
#SBATCH --output="{folder}/output/%A_%a.log"

# Line SLURM_ARRAY_TASK_ID of the list, from 0: a status file, a log, a command.
line=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {list})
eval "set -- $line"
status=$1
log=$2
shift 2

export RAYON_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
echo "started ${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}} $(hostname)" >> "$status"
"$@" < /dev/null >> "$log" 2>&1 &
child=$!
ending=
trap 'ending=limit; kill -TERM $child 2> /dev/null' USR1
trap 'ending=cancelled; kill -TERM $child 2> /dev/null' TERM
# A signal ends `wait`, not the command.
while true; do
  wait $child
  code=$?
  kill -0 $child 2> /dev/null || break
done
if [ "$code" -eq 0 ] || [ -z "$ending" ]; then
  echo "ended $code" >> "$status"
  exit $code
fi
if [ "$ending" = limit ]; then
  echo requeued >> "$status"
  exec {scontrol} requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
echo cancelled >> "$status"
exit $code
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_are() {
        let words = ["printf", "%s|", "it's", "two words", "$HOME", "a\\b"].map(str::to_owned);
        let log = "log".into();
        let task = Task { name: "one".to_owned(), words: words.to_vec(), log };
        let line = line(&task, Path::new("a status"));
        let check = r#"eval "set -- $1"; printf '%s\n' "$@""#;
        let output =
            std::process::Command::new("bash").args(["-c", check, "bash", &line]).output().unwrap();
        let expected: Vec<&str> =
            ["a status", "log"].into_iter().chain(words.iter().map(String::as_str)).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.join("\n") + "\n");
    }
}
