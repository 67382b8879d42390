"""Does TensorBoard find every scalar that mmc recorded?

    cargo xtask references event_files

trains a tiny model with mmc, in f16 so that the loss is scaled, with another learning rate for each layer, stops
it in the middle and goes on with it, and reads `tensorboard/` with TensorBoard's own reader. Every number of
`train.jsonl` and `eval.jsonl` has to be there once, at its step, as the nearest f32. Nothing is written into the
repository; a difference is an error.
"""

import json
import pathlib
import signal
import subprocess
import tempfile
import time

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 60


def mmc(run):
    build = ["cargo", "build", "--quiet", "--workspace", "--bin", "mmc"]
    subprocess.run(build, cwd=ROOT, check=True)
    words = (f"train --model bert-tiny --dataset table --data-root data/emoji --max-steps {STEPS} --save-every 7 "
             f"--precision f16 --layer-decay 0.9 --early-stopping 50 --resume --out {run}")
    return subprocess.Popen([ROOT / "target/debug/mmc", *words.split()], cwd=ROOT, stderr=subprocess.DEVNULL)


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(run):
    """Each tag's values by step."""
    found = {}

    def add(tag, step, value):
        if value is not None:
            found.setdefault(tag, {})[step] = value

    for row in records(run / "train.jsonl"):
        for name in ["loss", "learning_rate", "grad_norm", "samples_per_second", "loader_wait_seconds", "loss_scale",
                     "skipped"]:
            add(f"train/{name}", row["step"], row[name])
        for name in ["learning_rate", "grad_norm"]:
            for level, value in enumerate(row.get(name + "s", [])):
                add(f"train/{name}/below_head_{level}", row["step"], value)
    for row in records(run / "eval.jsonl"):
        add(f"{row['split']}/loss", row["step"], row["loss"])
        for name, value in row["scores"].items():
            add(f"{row['split']}/{name}", row["step"], value)
    return found


def main():
    with tempfile.TemporaryDirectory() as place:
        run = pathlib.Path(place) / "run"
        process = mmc(run)
        lines = 0
        while lines < STEPS // 3 and process.poll() is None:
            time.sleep(0.005)
            lines = (run / "train.jsonl").read_text().count("\n") if (run / "train.jsonl").exists() else 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        if mmc(run).wait() != 0:
            raise SystemExit("mmc failed")
        wanted = expected(run)
        reader = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
        reader.Reload()
        tags = set(reader.Tags()["scalars"])
        if tags != wanted.keys():
            raise SystemExit(f"other tags: {sorted(tags ^ wanted.keys())}")
        scalars = 0
        for tag, values in wanted.items():
            events = reader.Scalars(tag)
            if [event.step for event in events] != sorted(values):
                raise SystemExit(f"{tag}: other steps: {[event.step for event in events]}")
            for event in events:
                if numpy.float32(values[event.step]) != numpy.float32(event.value):
                    raise SystemExit(f"{tag}, step {event.step}: {event.value}, not {values[event.step]}")
            scalars += len(events)
        if "train/grad_norm/below_head_2" not in tags or "train/learning_rate/below_head_2" not in tags:
            raise SystemExit(f"no levels among {sorted(tags)}")
        print(f"{len(tags)} tags with {scalars} scalars, each once and as recorded")


if __name__ == "__main__":
    main()
