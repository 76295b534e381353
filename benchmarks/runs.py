"""10,000 runs of two edges each: what `lineage`, `runs ls` and `used_by` cost beside a start of the command line.

    python -m benchmarks.runs --work FOLDER [--runs 10000]

Makes the runs with the package's own interface where the folder has none yet (about 20 ms each), then times whole processes in
turn, with a warm catalog and right after cache/ was deleted. Prints medians and their ratios to `artstore --version`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import artstore as wandb

ROUNDS, COLD_ROUNDS = 9, 3
USED_BY = "import sys, artstore; print(len(artstore.Api(repository=sys.argv[1]).artifact(sys.argv[2]).used_by()))"
COMMANDS = {
    "start": ["-m", "artstore", "--version"],
    "lineage of a model": ["-m", "artstore", "lineage", "p/model:v9"],
    "lineage of the data of all": ["-m", "artstore", "lineage", "p/data:v0"],
    "runs ls": ["-m", "artstore", "runs", "ls", "p"],
    "used_by of the data of all": ["-c", USED_BY, ".artifacts", "p/data:v0"],
}


def make(work: Path, runs: int) -> None:
    """Each run uses one version, the same for all, and logs one of its own."""
    os.chdir(work)
    with wandb.init(project="p") as run:
        data = wandb.Artifact("data", "dataset")
        with data.new_file("x") as file:
            file.write("x")
        run.log_artifact(data)
    for number in range(runs):
        with wandb.init(project="p", config={"number": number}) as run:
            run.use_artifact("data:latest")
            model = wandb.Artifact("model", "model")
            with model.new_file("weights") as file:
                file.write(str(number))
            run.log({"loss": 1 / (number + 1)})
            run.log_artifact(model)


def timed(work: Path, command: list[str]) -> float:
    """Seconds of one whole process."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=work, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="folder to make the runs in")
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (work / ".artifacts").exists():
        make(work, given.runs)
    for command in COMMANDS.values():
        timed(work, command)
    warm: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            warm[name].append(timed(work, command))
    start = statistics.median(warm["start"])
    for name, seconds in warm.items():
        median = statistics.median(seconds)
        print(f"warm  {name:28} {median * 1000:6.0f} ms  {median / start:5.2f} × start")
    for name in list(COMMANDS)[1:]:
        cold = []
        for _ in range(COLD_ROUNDS):
            shutil.rmtree(work / ".artifacts" / "cache", ignore_errors=True)
            cold.append(timed(work, COMMANDS[name]))
        median = statistics.median(cold)
        print(f"cold  {name:28} {median * 1000:6.0f} ms  {median / start:5.2f} × start")


if __name__ == "__main__":
    main()
