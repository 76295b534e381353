"""Log from each of several spawned processes, in one group.

After: examples, pytorch, ddp: log-all.py
Runs.
"""

import multiprocessing

import artstore as wandb


def worker(rank):
    run = wandb.init(project="DDP", group="DDP", job_type="worker", config={"rank": rank})
    for step in range(3):
        run.log({"loss": step + rank})
    run.finish()


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=worker, args=(rank,)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    runs = wandb.Api().runs("DDP", filters={"group": "DDP"})
    assert sorted((run.config["rank"], run.summary["loss"]) for run in runs) == [(0, 2), (1, 3)]
