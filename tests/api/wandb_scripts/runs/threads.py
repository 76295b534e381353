"""Log from a thread beside the training loop.

After: tests of wandb, logging from threads
Runs.
"""

import threading

import artstore as wandb

with wandb.init(project="threads", id="t") as run:
    sampler = threading.Thread(target=lambda: [run.log({"sampled": i}) for i in range(5)])
    sampler.start()
    sampler.join()
    for step in range(5):
        run.log({"loss": step})
summary = wandb.Api().run("threads/t").summary
assert summary["loss"] == 4 and summary["sampled"] == 4
