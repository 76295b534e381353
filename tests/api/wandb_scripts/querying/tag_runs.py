"""Tag many runs at once.

After: docs, runs, add tags to one or more runs
Runs.
"""

import artstore as wandb

for number in range(3):
    with wandb.init(project="tagging", config={"number": number}) as run:
        run.log({"acc": number})
api = wandb.Api()
for run in api.runs("tagging", filters={"summary_metrics.acc": {"$gte": 1}}):
    run.tags.append("good")
    run.update()
assert sorted(run.config["number"] for run in wandb.Api().runs("tagging", {"tags": {"$in": ["good"]}})) == [1, 2]
