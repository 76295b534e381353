"""What automations wait for in a metric: thresholds, changes, values unlike those before; and W&B's names for them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore import automations as w
from artstore.api.conditions import MetricFilter
from artstore.errors import InvalidType, InvalidValue
from artstore.operations.automation.metrics import MetricWatch, check_metric

loss = w.RunEvent.metric("loss")


@pytest.mark.parametrize(
    ("asked", "values", "seen"),
    [
        (loss.changes_by(diff=2), [1, 2, 4], 4),
        (loss.changes_by(diff=2), [5, 4, 2], 2),
        (loss.increases_by(diff=2), [5, 3, 4, 6], 6),
        (loss.decreases_by(diff=2), [1, 3, 2, 0], 0),
        (loss.decreases_by(diff=2), [1, 3, 5], None),
        (loss.changes_by(frac=0.5), [10, 14, 21], 21),
        (loss.increases_by(frac=0.5), [-10, -4], -4),
        (loss.changes_by(frac=0.5), [0, 0, 0.001], 0.001),
        (loss.avg(2).increases_by(diff=2), [1, 1, 2, 3, 5], 4),
        (loss.max(2).changes_by(diff=3), [1, 5, 1, 1], 1),
        (w.MetricChangeFilter("loss", "ABSOLUTE", "ANY", 3, "AVERAGE", 1, 3), [1, 1, 1, 3, 9], 9),
        (w.MetricChangeFilter(name="loss", change_type="RELATIVE", change_dir="DECREASE", threshold=0.5), [4, 2], 2),
        (loss.changes_by(diff=1), [1, math.nan, 1, 1], None),
        (loss.zscore(4) > 3, [1, 2, 1, 2, 2.9, 1, 9], 9),
        (loss.zscore(4) < -3, [1, 2, 1, 2, -7], -7),
        (loss.zscore(4).abs() > 3, [1, 2, 1, 2, -7], -7),
        (abs(loss.zscore(4)).gte(3), [1, 2, 1, 2, 1, 2, 1], None),
        (loss.zscore(3) > 3, [2, 2, 2, 9], None),
        (loss.zscore(3) > 3, [2, math.inf, 2, 9], None),
        (w.MetricZScoreFilter("loss", 4), [1, 2, 1, 2, 9], 9),
        (w.MetricThresholdFilter("loss", "<", 1), [2, 0.5], 0.5),
        (w.MetricThresholdFilter(name="loss", cmp="$gte", threshold=2, agg="MAX", window=2), [1, 2], 2),
    ],
)
def test_a_metric_meets_its_condition(asked: MetricFilter, values: list[float], seen: float | None) -> None:
    check_metric(asked.metric)
    watch = MetricWatch({"metric": asked.metric})
    found = [now for value in values if (now := watch.sees(value)) is not None]
    assert found[:1] == ([] if seen is None else [seen])


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: loss.changes_by(), InvalidValue, "exactly one of `frac` or `diff`"),
        (lambda: loss.changes_by(diff=1, frac=1), InvalidValue, "exactly one of `frac` or `diff`"),
        (lambda: loss.changes_by(diff=-1), InvalidValue, "Expected positive threshold"),
        (lambda: loss.increases_by(frac="much"), InvalidType, "a threshold must be a number"),
        (lambda: loss.zscore(0), InvalidValue, "a window must be a number of values"),
        (lambda: loss.zscore(5) > -1, InvalidValue, "Expected positive threshold"),
        (lambda: loss.zscore(5) < 1, InvalidValue, "Expected positive threshold"),
        (lambda: loss.zscore(5).abs() < 1, InvalidValue, "compared by > only"),
        (
            lambda: w.MetricThresholdFilter("loss", "=", 1),
            InvalidValue,
            "a metric is compared by >, >=, <, <=, not '='",
        ),
        (lambda: w.MetricThresholdFilter("loss", ">", 1, "median"), InvalidValue, "max, min or mean, not 'median'"),
        (lambda: w.MetricZScoreFilter("loss", change_dir="UP"), InvalidValue, "a direction is increase"),
        (lambda: check_metric((loss < 1).metric | {"kind": "x"}), InvalidValue, "change or zscore, not 'x'"),
        (lambda: check_metric((loss < 1).metric | {"window": 0}), InvalidValue, "window is a number of values"),
        (lambda: check_metric((loss < 1).metric | {"agg": "median"}), InvalidValue, "aggregate is max, min, mean"),
        (lambda: check_metric(loss.changes_by(diff=1).metric | {"prior": "1"}), InvalidValue, "prior is a number"),
        (lambda: check_metric(loss.changes_by(diff=1).metric | {"kind": "x"}), InvalidValue, "change or zscore"),
        (lambda: check_metric(loss.changes_by(diff=1).metric | {"threshold": 0}), InvalidValue, "positive"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(make: Callable[[], Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        make()


def test_a_change_is_kept_with_the_rule_and_what_was_made_says_what_it_is(home: Path) -> None:
    wandb.init(project="p").finish()
    api = wandb.Api()
    event = w.OnRunMetric(scope=api.project("p"), filter=loss.avg(2).changes_by(frac=0.5) & w.RunStateFilter("running"))
    api.create_automation(event >> w.DoNothing(), name="changed")
    saved = api.automation(name="changed")
    assert saved.rule["metric"] == loss.avg(2).changes_by(frac=0.5).metric
    assert saved.event.filter == {"state": {"$in": ["running"]}}
    assert isinstance(saved.scope, w.ProjectScope) and saved.scope.scope_type is w.ScopeType.PROJECT
    assert saved.action.action_type is w.ActionType.NO_OP and saved.action.action_type.name == "NO_OP"
    api.create_automation(w.OnCreateArtifact() >> w.RunCommand(["true"]), name="all")
    everywhere = api.automation(name="all")
    assert isinstance(everywhere.scope, w.EntityScope) and everywhere.action.action_type == "COMMAND"


def test_a_name_of_automations_that_means_nothing_here_says_why() -> None:
    for name, why in (("TeamScope", "there are no accounts"), ("SlackIntegration", "WebhookIntegration names")):
        with pytest.raises(wandb.UnsupportedError, match=f"automations has no '{name}': {why}"):
            getattr(w, name)
    with pytest.raises(AttributeError, match="automations has no 'Nonsense'"):
        w.Nonsense  # type: ignore[attr-defined]  # noqa: B018  on purpose


def test_an_aggregate_of_a_metric_has_no_aggregates() -> None:
    metric = w.RunEvent.metric("loss")
    assert repr(metric.average(5) > 1) == repr(metric.avg(5).gt(1)) == repr(metric.mean(5) > 1)
    for again in ("avg", "average", "mean", "min", "max"):
        with pytest.raises(AttributeError, match="metric 'loss' is an aggregate already: min of 3 values"):
            getattr(metric.min(3), again)(5)
