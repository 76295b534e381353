"""Where automations are kept: what a file of rules may hold, and what becomes of rules when names change."""

import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.automations import CallPython, DoNothing, OnCreateArtifact, OnRunMetric, RunEvent
from artstore.errors import Conflict, InvalidValue
from artstore.operations.automation import firing
from artstore.operations.automation import worker as actor
from artstore.operations.automation.rules import all_rules, rules_path, save_rule
from artstore.operations.automation.webhooks import filled
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(rules_path()).read_text())
    return found


def _made(name: str = "quiet") -> None:
    api = wandb.Api()
    api.create_automation(OnCreateArtifact(scope=api.project("uncategorized")) >> DoNothing(), name=name)


SPOILS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a rule without a name": (lambda own: own["automations"][0].pop("name"), "'name'"),
    "a rule that lacks its day": (lambda own: own["automations"][0].pop("created"), "a rule lacks a field"),
    "an unknown event": (lambda own: own["automations"][0].update(event="NOON"), "there is no event 'NOON'"),
    "an unknown action": (lambda own: own["automations"][0].update(action={"kind": "x"}), "there is no action 'x'"),
    "a place that is a number": (lambda own: own["paths"].append(5), "a place is not a string"),
    "no list": (lambda own: own.update(automations=5), "not iterable"),
    "an unknown comparison": (
        lambda own: own["automations"][0].update(
            event="RUN_METRIC_THRESHOLD", metric={"name": "m", "agg": None, "window": 1, "cmp": "$x", "threshold": 1}
        ),
        "a metric is compared by",
    ),
}


@pytest.mark.parametrize("what", SPOILS)
def test_a_file_of_rules_that_nobody_of_us_wrote_is_refused_whole(home: Path, what: str) -> None:
    log(draft())
    _made()
    kept = _kept()
    spoil, reason = SPOILS[what]
    spoil(next(iter(kept.values())))
    Path(rules_path()).write_text(json.dumps(kept))
    with pytest.raises(InvalidValue, match="has an invalid automation: .*" + reason) as error:
        wandb.Api().automations()
    assert error.value.hint == "mend or remove it"


def test_rules_of_one_artifact_follow_it_to_another_name_and_others_stay(home: Path) -> None:
    log(draft())
    log(draft("other"))
    api = wandb.Api()
    for name in ("data", "other"):
        api.create_automation(
            OnCreateArtifact(scope=api.artifact_collection("artifact", name)) >> DoNothing(), name=f"on {name}"
        )
    with Repository(str(home / ".artifacts")) as repository:
        repository.rename("data", "renamed")
        scopes = {rule["name"]: rule["scope"]["collection"] for rule in all_rules(repository.automations.place)}
        assert scopes == {"on data": "renamed", "on other": "other"}
        repository.rename("renamed", "again")
        assert {rule["scope"]["collection"] for rule in all_rules(repository.automations.place)} == {"again", "other"}


def test_a_function_and_a_rule_can_t_have_one_name(home: Path) -> None:
    log(draft())
    _made()
    api = wandb.Api()
    event = OnCreateArtifact(scope=api.project("uncategorized"))
    with pytest.raises(Conflict, match="Automation 'quiet' exists"):
        api.create_automation(event >> CallPython(lambda told: None), name="quiet")
    api.create_automation(event >> CallPython(lambda told: None), name="called")
    with pytest.raises(Conflict, match="Automation 'called' exists"):
        api.create_automation(event >> DoNothing(), name="called")


def test_doing_nothing_is_noted_as_done(home: Path) -> None:
    log(draft())
    _made()
    with Repository(str(home / ".artifacts")) as repository:
        (rule,) = all_rules(repository.automations.place)
        assert actor.perform(rule, {"event": "CREATE_ARTIFACT", "entity": "local"}, str(home), 1) == ("ok", "")
    assert actor.read_log()[-1]["outcome"] == "ok"


def test_a_payload_may_name_the_token(home: Path) -> None:
    assert filled({"key": "${ACCESS_TOKEN}", "n": [1, "${nothing}"]}, {"event": "X"}, "t0ken") == {
        "key": "t0ken",
        "n": [1, ""],
    }


def test_a_circle_of_functions_ends(home: Path) -> None:
    log(draft())
    api, ended = wandb.Api(), threading.Semaphore(0)

    def save_again(told: dict[str, Any]) -> None:
        with warnings.catch_warnings(), Repository(str(home / ".artifacts")) as repository:
            warnings.simplefilter("ignore", firing.AutomationWarning)  # of the last, which sets nothing off
            repository.put(str(make_tree(home / told["version"], {"f": told["version"]})), "data")
        ended.release()

    api.create_automation(OnCreateArtifact(scope=api.project("uncategorized")) >> CallPython(save_again), name="circle")
    log(draft(text="2"))
    for _ in range(firing.DEEPEST):
        assert ended.acquire(timeout=60)
    assert not ended.acquire(timeout=0.5)
    assert len(api.artifacts(name="data")) == 2 + firing.DEEPEST


def test_a_metric_that_is_compared_otherwise_is_refused(home: Path) -> None:
    log(draft())
    api = wandb.Api()
    metric = RunEvent.metric("loss") < 1
    api.create_automation(OnRunMetric(scope=api.project("uncategorized"), filter=metric) >> DoNothing(), name="m")
    with Repository(str(home / ".artifacts")) as repository:
        (rule,) = all_rules(repository.automations.place)
        with pytest.raises(InvalidValue, match="a metric is compared by"):
            save_rule(repository.automations.place, rule | {"metric": rule["metric"] | {"cmp": "$near"}}, new=False)
