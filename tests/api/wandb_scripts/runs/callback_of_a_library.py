"""A logger as a library writes it: wandb is optional, and a run may be there already.

After: docs, integrations, add W&B to any library
Runs.
"""

try:
    import artstore as wandb

    _WANDB_AVAILABLE = True
except ImportError:
    _WANDB_AVAILABLE = False


class Logger:
    def __init__(self, project=None, config=None, **init_options):
        assert _WANDB_AVAILABLE
        self.run = wandb.run if wandb.run is not None else wandb.init(project=project, **init_options)
        self.run.config.update(config or {}, allow_val_change=True)
        self.run.define_metric("*", step_metric="global_step", step_sync=True)
        self.run._label(repo="a-library")

    def log(self, metrics, step):
        self.run.log({"global_step": step, **metrics})

    def save(self, path, score):
        artifact = wandb.Artifact(f"checkpoint-{self.run.id}", type="model", metadata={"score": score})
        artifact.add_file(path, name="model.ckpt")
        self.run.log_artifact(artifact, aliases=["latest", "best"])


logger = Logger("library", {"lr": 0.1}, reinit=True, anonymous="allow", settings=wandb.Settings(silent=True))
for step in range(3):
    logger.log({"train/loss": 1 / (step + 1), "eval/loss": 1}, step)
with open("last.ckpt", "w") as file:
    file.write("state")
logger.save("last.ckpt", 0.9)
run = logger.run
wandb.finish()
assert wandb.Api().artifact(f"library/checkpoint-{run.id}:best").metadata == {"score": 0.9}
assert wandb.Api().run(run.path).summary["global_step"] == 2
