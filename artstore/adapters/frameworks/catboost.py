"""CatBoost: a callback that logs evaluations, and a summary of the trained model."""

from typing import Any

from catboost import CatBoost

from artstore.adapters.frameworks.common import active_run, log_importance, log_model_file
from artstore.errors import InvalidType


class WandbCallback:
    """Log each evaluation as `DATA-METRIC`, such as `validation-RMSE`, and the iteration."""

    def __init__(self, metric_period: int = 1) -> None:
        """Record in the active run. `metric_period` is the one that the model was given. Raises NoActiveRun."""
        self._run = active_run("WandbCallback()")
        self._key = f"iteration@metric-period-{metric_period}"
        self._known = 0

    def after_iteration(self, info: Any) -> bool:
        """Called by CatBoost, which evaluates only at some iterations. Returns True, so training goes on."""
        logs = {f"{data}-{name}": log for data, of in info.metrics.items() for name, log in of.items()}
        known = sum(map(len, logs.values()))
        if known > self._known:
            self._known = known
            self._run.log({key: log[-1] for key, log in logs.items()} | {self._key: info.iteration})
        return True


def log_summary(
    model: Any, log_all_params: bool = True, save_model_checkpoint: bool = False, log_feature_importance: bool = True
) -> None:
    """Record `best_iteration` and `best_score` of a trained model in the summary.

    Args:
        model: The model.
        log_all_params: Record its parameters as the run's config.
        save_model_checkpoint: Log it as an artifact `model_RUN`, with the alias `best` if it is the
            best model, else `last`.
        log_feature_importance: Log the importance of features as a table.

    Raises:
        NoActiveRun: If no run is active.
        InvalidType: If it isn't a model of CatBoost.
    """
    run = active_run("log_summary()")
    if not isinstance(model, CatBoost):
        raise InvalidType(f"log_summary needs a model of CatBoost, not {type(model).__name__}")
    parameters = model.get_all_params()
    if log_all_params:
        run.config.update(parameters, allow_val_change=True)
    run.summary.update({"best_iteration": model.get_best_iteration(), "best_score": model.get_best_score()})
    if save_model_checkpoint:
        alias = "best" if parameters.get("use_best_model") else "last"
        log_model_file(run, f"model_{run.id}", "model", model.save_model, [alias])
    if log_feature_importance:
        frame = model.get_feature_importance(prettified=True)
        log_importance(run, zip(frame["Feature Id"], frame["Importances"], strict=True), commit=False)
