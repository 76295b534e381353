"""What the callbacks share: the active run, a model as an artifact, and the importance of features."""

from collections.abc import Callable, Iterable
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.plots.simple import bar
from artstore.api.recording import session
from artstore.api.run import Run
from artstore.api.tables.table import Table
from artstore.errors import NoActiveRun


def active_run(what: str) -> Run:
    """The active run. Raises NoActiveRun, which says that `what` needs one."""
    if session.run is None:
        raise NoActiveRun(f"You must call wandb.init() before {what}", hint="artstore.init() starts a run")
    return session.require(what)


def log_model_file(run: Run, name: str, file: str, save: Callable[[str], Any], aliases: Iterable[str] = ()) -> Artifact:
    """Log a model as an artifact of type `model`. `save` writes it to a path, whose last part is `file`."""
    artifact = Artifact(name, "model")
    with artifact.new_file(file) as written:
        save(written.name)
    return run.log_artifact(artifact, aliases=list(aliases))


def log_importance(run: Run, importance: Iterable[tuple[str, float]], *, commit: bool) -> None:
    """Log the importance of features as bars, in the step that is current."""
    table = Table(columns=["Feature", "Importance"], data=[[name, float(value)] for name, value in importance])
    bars = bar(table, "Feature", "Importance", title="Feature Importance")
    run.log({"Feature Importance": bars}, commit=commit)


def log_direction(run: Run, key: str, metric: str, smaller: frozenset[str], larger: frozenset[str]) -> None:
    """Let the summary keep the best value of a metric whose direction is known: its smallest or its largest."""
    metric = metric.lower()
    if "loss" in metric or metric in smaller:
        run.define_metric(key, summary="min")
    elif metric in larger:
        run.define_metric(key, summary="max")
