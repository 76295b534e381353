"""XGBoost: a callback that logs evaluations, the booster's config, its best score and, if asked, the model."""

import json
from typing import Any

from xgboost import Booster
from xgboost.callback import TrainingCallback

from artstore.adapters.frameworks.common import active_run, log_direction, log_importance, log_model_file
from artstore.backends.callers import warn_caller

_SMALLER = frozenset({"rmse", "rmsle", "mae", "mape", "mphe", "logloss", "mlogloss", "error", "merror"})
_LARGER = frozenset({"auc", "aucpr", "ndcg", "map"})


class WandbCallback(TrainingCallback):  # type: ignore[misc]  # XGBoost may be absent
    """Log each evaluation as `DATA-METRIC`, such as `eval-rmse`, and `epoch`; then the best score and its iteration."""

    def __init__(
        self,
        log_model: bool = False,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
        define_metric: bool = True,
    ) -> None:
        """Record in the active run.

        Args:
            log_model: Log the model as an artifact `RUN_model.json` at the end.
            log_feature_importance: Log the importance of features as a table at the end.
            importance_type: `weight`, `gain`, `cover`, `total_gain` or `total_cover`.
            define_metric: Let the summary keep the best value of each metric, not the last.

        Raises:
            NoActiveRun: If no run is active.
        """
        super().__init__()
        self._run = active_run("WandbCallback()")
        self._log_model, self._log_importance = log_model, log_feature_importance
        self._importance_type, self._defines = importance_type, define_metric

    def before_training(self, model: Any) -> Any:
        self._run.config.update(json.loads(model.save_config()), allow_val_change=True)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
        values = {(data, name): log[-1] for data, logs in evals_log.items() for name, log in logs.items()}
        if self._defines:
            for data, name in values:
                log_direction(self._run, f"{data}-{name}", name.partition("@")[0], _SMALLER, _LARGER)
            self._defines = False
        self._run.log({f"{data}-{name}": value for (data, name), value in values.items()} | {"epoch": epoch})
        return False

    def after_training(self, model: Any) -> Any:
        if self._log_model:
            name = f"{self._run.id}_model.json"
            log_model_file(self._run, name, name, model.save_model)
        if self._log_importance and isinstance(model, Booster):
            log_importance(self._run, model.get_score(importance_type=self._importance_type).items(), commit=True)
        if (best := model.attr("best_score")) is not None:
            self._run.log({"best_score": float(best), "best_iteration": int(model.attr("best_iteration"))})
        return model


def wandb_callback() -> WandbCallback:
    """W&B's old name for a callback that logs evaluations only."""
    warn_caller("wandb_callback() is WandbCallback() now")
    return WandbCallback(log_feature_importance=False, define_metric=False)
