"""Ask for the gradients of a model.

After: docs, integrations, PyTorch
Runs.
"""

import artstore as wandb


class Model:
    def parameters(self):
        return iter(())


model = Model()
with wandb.init(project="watching") as run:
    run.watch(model, log="all", log_freq=100)
    run.log({"loss": 0.5})
    run.unwatch(model)
