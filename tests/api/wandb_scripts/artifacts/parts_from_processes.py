"""Let worker processes write the parts of one version side by side.

After: tests of wandb, an artifact from several processes
Runs.
"""

import multiprocessing

import artstore as wandb


def work(rank):
    with wandb.init(project="parallel", group="ranks", job_type="worker", name=f"rank {rank}") as run:
        artifact = wandb.Artifact("predictions", type="results")
        table = wandb.Table(columns=["rank", "square"], data=[[rank, rank**2]])
        artifact.add(table, f"part-{rank}")
        run.upsert_artifact(artifact)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(rank,)) for rank in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with wandb.init(project="parallel", group="ranks", job_type="main") as run:
        run.finish_artifact(wandb.Artifact("predictions", type="results"))
    artifact = wandb.Api().artifact("parallel/predictions:latest")
    assert sorted(artifact.get(f"part-{rank}").data[0][1] for rank in range(3)) == [0, 1, 4]
    assert len(wandb.Api().runs("parallel", filters={"group": "ranks"})) == 4
