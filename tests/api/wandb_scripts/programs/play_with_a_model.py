"""Fetch a model by an argument of the command line, and log running totals with steps.

After: examples, pytorch, video poker bot
Runs.
"""

import argparse
import random
from pathlib import Path

import artstore as wandb


def play(run: wandb.Run, hold: float, *, hands: int, seed: int) -> None:
    rng = random.Random(seed)
    payout = 0
    for number in range(1, hands + 1):
        payout += 2 * (rng.random() < hold)
        if number % 10 == 0 or number == hands:
            run.log({"hands_played": number, "payout": payout, "return_pct": 100 * payout / number}, step=number)


with wandb.init(project="poker", name="train") as run:
    artifact = wandb.Artifact("my-model", type="model")
    with artifact.new_file("checkpoint.txt") as file:
        file.write("0.5")
    run.log_artifact(artifact)

parser = argparse.ArgumentParser()
parser.add_argument("--artifact", required=True)
parser.add_argument("--hands", type=int, default=35)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args(["--artifact", "my-model:latest"])
with wandb.init(project="poker", name="eval", job_type="evaluation", group="eval", config=vars(args)) as run:
    checkpoint = Path(run.use_artifact(args.artifact).file())
    play(run, float(checkpoint.read_text()), hands=args.hands, seed=args.seed)
rows = list(wandb.Api().run(run.path).scan_history())
assert [row["_step"] for row in rows] == [10, 20, 30, 35]
