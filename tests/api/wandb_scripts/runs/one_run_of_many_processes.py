"""Log to one run from several processes, in mode `shared`.

After: docs, track, track all processes to a single run
Runs.
"""

import multiprocessing

import artstore as wandb


def worker(rank, run_id):
    run = wandb.init(
        project="shared",
        id=run_id,
        settings=wandb.Settings(mode="shared", x_label=f"rank_{rank}", x_primary=False, x_update_finish_state=False),
    )
    run.log({f"loss/{rank}": rank / 10})
    run.finish()


if __name__ == "__main__":
    run = wandb.init(project="shared", settings=wandb.Settings(x_label="rank_0", mode="shared", x_primary=True))
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=worker, args=(rank, run.id)) for rank in (1, 2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    run.log({"loss/0": 0.5})
    run.finish()
    summary = wandb.Api().run(f"shared/{run.id}").summary
    assert {key: summary[key] for key in ("loss/0", "loss/1", "loss/2")} == {
        "loss/0": 0.5,
        "loss/1": 0.1,
        "loss/2": 0.2,
    }
