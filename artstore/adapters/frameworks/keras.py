"""Keras, with any of its backends: callbacks that log metrics, models, and tables of predictions."""

import os
from abc import ABC, abstractmethod
from typing import Any

from artstore.adapters.frameworks.common import active_run
from artstore.api.artifact import Artifact
from artstore.api.tables.table import Table

try:
    from keras.callbacks import Callback, ModelCheckpoint
except ImportError:
    from tensorflow.keras.callbacks import Callback, ModelCheckpoint


class WandbMetricsLogger(Callback):  # type: ignore[misc]  # Keras may be absent
    """Log what Keras measures as `epoch/METRIC`, or `batch/METRIC`, with the learning rate."""

    def __init__(self, log_freq: int | str = "epoch", initial_global_step: int = 0) -> None:
        """Record in the active run.

        Args:
            log_freq: `epoch`, `batch`, or a number of batches.
            initial_global_step: The batches that a schedule of the learning rate has seen before this training.

        Raises:
            NoActiveRun: If no run is active.
        """
        super().__init__()
        self._run = active_run("WandbMetricsLogger()")
        self._every = None if log_freq == "epoch" else 1 if log_freq == "batch" else int(log_freq)
        self._step, self._batch = initial_global_step, 0
        kind, axis = ("epoch", "epoch/epoch") if self._every is None else ("batch", "batch/batch_step")
        self._run.define_metric(axis)
        self._run.define_metric(f"{kind}/*", step_metric=axis)

    def _learning_rate(self) -> float | None:
        rate: Any = getattr(self.model.optimizer, "learning_rate", None)
        try:
            return float(rate(self._step) if callable(rate) and not hasattr(rate, "shape") else rate)
        except (TypeError, ValueError, RuntimeError):
            return None

    def _log(self, kind: str, logs: dict[str, Any] | None, more: dict[str, Any]) -> None:
        values = {f"{kind}/{name}": value for name, value in (logs or {}).items()} | more
        if (rate := self._learning_rate()) is not None:
            values[f"{kind}/learning_rate"] = rate
        self._run.log(values)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._log("epoch", logs, {"epoch/epoch": epoch})

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step += 1
        if self._every is not None and batch % self._every == 0:
            self._log("batch", logs, {"batch/batch_step": self._batch})
            self._batch += self._every


class WandbModelCheckpoint(ModelCheckpoint):  # type: ignore[misc]
    """Keras' ModelCheckpoint, whose every file is also logged as a version of the artifact `run_RUN_model`.

    Aliases are `epoch_N`, or `epoch_N_batch_M` with a `save_freq` in batches.
    """

    def __init__(self, filepath: str | os.PathLike[str], *arguments: Any, **options: Any) -> None:
        """Take the arguments of Keras' ModelCheckpoint. Raises NoActiveRun if no run is active."""
        super().__init__(filepath, *arguments, **options)
        self._run = active_run("WandbModelCheckpoint()")
        self._logged: tuple[str, int, int] | None = None

    def _save_model(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        path = self._get_file_path(epoch, batch, logs)
        super()._save_model(epoch, batch, logs)
        if not os.path.exists(path):
            return  # not the best, so Keras didn't save it
        status = os.stat(path)
        written = (path, status.st_mtime_ns, status.st_ino)
        if written == self._logged:
            return
        self._logged = written
        artifact = Artifact(f"run_{self._run.id}_model", "model")
        artifact.add_dir(path) if os.path.isdir(path) else artifact.add_file(path)
        self._run.log_artifact(artifact, aliases=[f"epoch_{epoch}" + (f"_batch_{batch}" if batch is not None else "")])


class WandbEvalCallback(Callback, ABC):  # type: ignore[misc]
    """A base for callbacks that log a table of ground truth once, and a table of predictions after each epoch."""

    def __init__(self, data_table_columns: list[str], pred_table_columns: list[str]) -> None:
        """Take the columns of the two tables. Raises NoActiveRun if no run is active."""
        super().__init__()
        self._run = active_run("WandbEvalCallback()")
        self.data_table_columns, self.pred_table_columns = data_table_columns, pred_table_columns

    @abstractmethod
    def add_ground_truth(self, logs: dict[str, Any] | None = None) -> None:
        """Add rows to `self.data_table`. Called once, when training begins."""

    @abstractmethod
    def add_model_predictions(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add rows to `self.pred_table`. Called after each epoch. `self.data_table_ref` is the ground truth."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.init_data_table(self.data_table_columns)
        self.add_ground_truth(logs)
        self.log_data_table()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.init_pred_table(self.pred_table_columns)
        self.add_model_predictions(epoch, logs)
        self.log_pred_table()

    def init_data_table(self, column_names: list[str]) -> None:
        """Begin the table of ground truth."""
        self.data_table = Table(columns=column_names, allow_mixed_types=True)

    def init_pred_table(self, column_names: list[str]) -> None:
        """Begin a table of predictions."""
        self.pred_table = Table(columns=column_names)

    def log_data_table(self, name: str = "val", type: str = "dataset", table_name: str = "val_data") -> None:
        """Log the table of ground truth as an artifact that the run uses."""
        artifact = Artifact(name, type)
        artifact.add(self.data_table, table_name)
        self.data_table_ref = self._run.use_artifact(artifact).get(table_name)

    def log_pred_table(
        self, type: str = "evaluation", table_name: str = "eval_data", aliases: list[str] | None = None
    ) -> None:
        """Log the table of predictions as a version of the artifact `run_RUN_pred`."""
        artifact = Artifact(f"run_{self._run.id}_pred", type)
        artifact.add(self.pred_table, table_name)
        self._run.log_artifact(artifact, aliases=aliases)
