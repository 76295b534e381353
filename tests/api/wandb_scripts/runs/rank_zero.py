"""Log from the first of several processes only.

After: examples, pytorch, ddp: log-rank0.py
Runs.
"""

import multiprocessing

import artstore as wandb


def worker(rank, queue):
    run = wandb.init(project="DDP", group="ddp", job_type="main") if rank == 0 else None
    loss = 1.0 / (rank + 1)
    if run is not None:
        run.log({"batch_loss": loss})
        run.finish()
    queue.put(rank)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    ranks = [context.Process(target=worker, args=(rank, queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    assert [run.summary["batch_loss"] for run in wandb.Api().runs("DDP")] == [1.0]
