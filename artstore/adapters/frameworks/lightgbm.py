"""LightGBM: a callback that logs parameters and evaluations, and a summary of the trained model."""

from typing import Any

from lightgbm import Booster

from artstore.adapters.frameworks.common import active_run, log_direction, log_importance, log_model_file
from artstore.errors import InvalidType

_SMALLER = frozenset({"l1", "l2", "rmse", "mape", "huber", "fair", "poisson", "gamma", "binary_logloss"})
_LARGER = frozenset({"map", "auc", "average_precision"})


class _Callback:
    """What LightGBM calls after each iteration."""

    order = 20  # behind LightGBM's own, which record evaluations
    before_iteration = False

    def __init__(self, log_params: bool, define_metric: bool) -> None:
        self._run = active_run("wandb_callback()")
        self._log_params, self._defines = log_params, define_metric

    def __call__(self, env: Any) -> None:
        values: dict[str, Any] = {}
        for data, name, value, _larger, *spread in map(tuple, env.evaluation_result_list):
            if spread:  # of `lightgbm.cv`, which gives the mean and the standard deviation
                data, name = name.split(maxsplit=1) if " " in name else (data, name)
                values |= {f"{data}_{name}-mean": value, f"{data}_{name}-stdv": spread[0]}
            else:
                values[f"{data}_{name}"] = value
            if self._defines and env.iteration == env.begin_iteration and not spread:
                log_direction(self._run, f"{data}_{name}", name, _SMALLER, _LARGER)
        if self._log_params and env.iteration == env.begin_iteration:
            self._run.config.update(env.params, allow_val_change=True)
        self._run.log(values | {"iteration": env.iteration})


def wandb_callback(log_params: bool = True, define_metric: bool = True) -> _Callback:
    """A callback for `lightgbm.train` that logs each evaluation as `DATA_METRIC`, and `iteration`.

    Args:
        log_params: Record the parameters as the run's config.
        define_metric: Let the summary keep the best value of each metric, not the last.

    Raises:
        NoActiveRun: If no run is active.
    """
    return _Callback(log_params, define_metric)


def log_summary(model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False) -> None:
    """Record `best_iteration` and `best_score` of a trained booster in the summary.

    Args:
        model: The booster.
        feature_importance: Log the importance of features as a table.
        save_model_checkpoint: Log the model as an artifact `model_RUN` with the alias `best`.

    Raises:
        NoActiveRun: If no run is active.
        InvalidType: If it isn't a booster.
    """
    run = active_run("log_summary()")
    if not isinstance(model, Booster):
        raise InvalidType(f"log_summary needs a lightgbm.Booster, not {type(model).__name__}")
    run.summary.update({"best_iteration": model.best_iteration, "best_score": model.best_score})
    if feature_importance:
        pairs = zip(model.feature_name(), model.feature_importance(), strict=True)
        log_importance(run, pairs, commit=False)
    if save_model_checkpoint:
        file = f"model_ckpt_{model.best_iteration}.txt"
        log_model_file(
            run,
            f"model_{run.id}",
            file,
            lambda path: model.save_model(path, num_iteration=model.best_iteration),
            ["best"],
        )
