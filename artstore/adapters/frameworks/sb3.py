"""Stable-Baselines3: a callback that logs what the algorithm logs, its parameters and its model."""

import os
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from artstore.adapters.frameworks.common import active_run
from artstore.api.run import Run


class _Writer(KVWriter):  # type: ignore[misc]  # the package may be absent
    """An output of the algorithm's logger, beside its console and its TensorBoard files."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        numbers = {key: value for key, value in key_values.items() if hasattr(value, "__float__")}
        self._run.log(numbers | {"global_step": step})

    def close(self) -> None:
        pass


class WandbCallback(BaseCallback):  # type: ignore[misc]
    """Log what the algorithm logs, such as `rollout/ep_rew_mean`, with `global_step`. Its parameters are config values.

    W&B reads these values from TensorBoard's files (`sync_tensorboard=True`); here the callback logs them itself.
    """

    def __init__(
        self,
        verbose: int = 0,
        model_save_path: str | None = None,
        model_save_freq: int = 0,
        gradient_save_freq: int = 0,
        log: str | None = "all",
    ) -> None:
        """Record in the active run.

        Args:
            verbose: As for every callback of Stable-Baselines3.
            model_save_path: A folder for `model.zip`, which is a file of the run and an artifact `model-RUN` too.
            model_save_freq: The calls after which the model is saved; 0 for the end only.
            gradient_save_freq: The passes after which the policy's gradients are logged; 0 for never.
            log: What is logged of the policy then: `gradients`, `parameters` or `all`.

        Raises:
            NoActiveRun: If no run is active.
        """
        super().__init__(verbose)
        self._run = active_run("WandbCallback()")
        self.model_save_path, self.model_save_freq = model_save_path, model_save_freq
        self.gradient_save_freq, self.log = gradient_save_freq, log
        if model_save_path is not None:
            os.makedirs(model_save_path, exist_ok=True)
            self.path = os.path.join(model_save_path, "model.zip")

    def _init_callback(self) -> None:
        plain = {
            key: value if type(value) in (float, int, str) else str(value) for key, value in vars(self.model).items()
        }
        self._run.config.setdefaults({"algo": type(self.model).__name__, **plain})
        if self.gradient_save_freq > 0:
            self._run.watch(self.model.policy, log=self.log, log_freq=self.gradient_save_freq)

    def _on_training_start(self) -> None:
        self.model.logger.output_formats.append(_Writer(self._run))

    def _on_step(self) -> bool:
        if self.model_save_path is not None and self.model_save_freq and self.n_calls % self.model_save_freq == 0:
            self.save_model()
        return True

    def _on_training_end(self) -> None:
        if self.model_save_path is not None:
            self.save_model()

    def save_model(self) -> None:
        """Write the model to `model_save_path`, save it as a file of the run, and log it as an artifact."""
        self.model.save(self.path)
        self._run.save(self.path, base_path=self.model_save_path)
        self._run.log_artifact(self.path, f"model-{self._run.id}", "model")
