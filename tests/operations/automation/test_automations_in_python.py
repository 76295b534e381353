"""Automations made, read, changed and deleted through the Python interface."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.worker import read_log
from artstore.repository import Repository
from tests.support.automations import automate, save, sh

untyped: Any = w


def test_an_automation_is_made_read_changed_and_deleted(home: Path) -> None:
    api = wandb.Api()
    save("net")
    collection = api.artifact_collection("artifact", "net")
    event = w.OnAddArtifactAlias(scope=collection, filter=w.ArtifactEvent.alias.matches_regex("^prod"))
    made = event >> w.SendWebhook("http://127.0.0.1:1/x", {"a": "${alias}"}, secret_env="S")
    assert isinstance(made, w.NewAutomation) and made == event.then(made.action) and made.scope is collection
    one = api.create_automation(made, name="deploy", description="to production")
    assert (one.name, one.description, one.enabled, one.scope.name) == ("deploy", "to production", True, "net")
    assert one.event.event_type is w.EventType.ADD_ARTIFACT_ALIAS and one.action == made.action
    assert one.action.action_type.name == "GENERIC_WEBHOOK" and one.created_at and one.updated_at is None
    found = api.automation("deploy")
    assert found == one and found.id == one.id and isinstance(found.action, w.SendWebhook)
    assert (found.action.url, found.action.secret_env) == ("http://127.0.0.1:1/x", "S")
    found.name, found.enabled = "ship", False
    changed = api.update_automation(found)
    assert (changed.name, changed.enabled, changed.id) == ("ship", False, one.id) and changed.updated_at
    changed = api.update_automation(changed, event=w.OnRunState(), action=w.RunCommand(["true"]), description="other")
    assert changed.event.event_type is w.EventType.RUN_STATE and changed.scope.name is None
    assert changed.action == w.RunCommand(["true"]) and changed.action.action_type.name == "COMMAND"
    assert [(a.name, a.description) for a in api.automations()] == [("ship", "other")]
    assert api.delete_automation(changed) is True and list(api.automations()) == []


def test_a_name_that_is_taken_is_refused_or_fetched(home: Path) -> None:
    api, event = wandb.Api(), w.OnCreateArtifact()
    first = api.create_automation(event >> w.DoNothing(), name="one", description="d")
    with pytest.raises(ValueError, match="'one' exists"):
        api.create_automation(event >> w.RunCommand(["true"]), name="one")
    again = api.create_automation(event >> w.RunCommand(["true"]), name="one", fetch_existing=True)
    assert again == first and again.description == "d" and isinstance(again.action, w.DoNothing)
    second = api.create_automation(event >> w.DoNothing(), name="two")
    with pytest.raises(ValueError, match="'one' exists"):
        api.update_automation(second, name="one")
    assert [one.name for one in api.automations()] == ["one", "two"], "the first made first"
    assert [one.name for one in api.automations(name="two")] == ["two"]
    api.update_automation(first, description="changed")
    assert [one.name for one in api.automations()] == ["one", "two"], "whatever is changed later"


def test_automations_are_deleted_by_themselves_their_name_or_their_id(home: Path) -> None:
    api = wandb.Api()
    a, b, c = (automate(w.DoNothing(), name) for name in "abc")
    assert [api.delete_automation(a), api.delete_automation("b"), api.delete_automation(c.id)] == [True] * 3
    assert list(api.automations()) == [] and b != c
    for gone in (a, "b", "no such"):
        with pytest.raises(ValueError, match=r"(?i)no automations found"):
            api.delete_automation(gone)
    with pytest.raises(ValueError, match="not found"):
        api.update_automation(a, enabled=False)
    assert api.update_automation(a, create_missing=True).name == "a"
    with pytest.raises(ValueError, match="no-such"):
        api.automation("no-such")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda api: api.create_automation("deploy", name="x"),
        lambda api: api.create_automation(untyped.OnCreateArtifact(), name="x"),
        lambda api: untyped.OnCreateArtifact() >> "a letter",
        lambda api: untyped.OnCreateArtifact().then(None),
        lambda api: untyped.OnCreateArtifact(scope="data"),
        lambda api: untyped.OnCreateArtifact(filter="alias"),
        lambda api: untyped.OnRunMetric(filter=None),
        lambda api: untyped.OnRunMetric(filter=w.RunEvent.state == "failed"),
        lambda api: untyped.RunCommand("rm -rf /"),
        lambda api: untyped.RunCommand([1]),
        lambda api: untyped.CallPython("print"),
        lambda api: untyped.RunEvent.metric("loss") < "low",
        lambda api: api.update_automation(automate(w.DoNothing()), colour="red"),
        lambda api: api.update_automation("act", enabled=False),
        lambda api: api.update_automation(automate(w.DoNothing()), action="a letter"),
        lambda api: api.delete_automation(5),
    ],
)
def test_what_is_of_another_type_than_asked_for_is_a_type_error(home: Path, wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        wrong(wandb.Api())
    assert isinstance(caught.value, (wandb.ArtstoreError, TypeError))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: automate(w.DoNothing(), ""),
        lambda: automate(w.DoNothing(), "x" * 129),
        lambda: automate(w.DoNothing(), 5),  # type: ignore[arg-type]
        lambda: automate(w.DoNothing(), "a\nb"),
        lambda: wandb.Api().create_automation(w.OnCreateArtifact() >> w.DoNothing()),
        lambda: automate(w.RunCommand([])),
        lambda: automate(w.SendWebhook("file:///etc/passwd")),
        lambda: automate(w.SendWebhook("example.org/x")),
        lambda: automate(w.SendWebhook("http://")),
        lambda: automate(w.DoNothing(), event=w.OnCreateArtifact(filter=w.ArtifactEvent.name.matches_regex("("))),
        lambda: automate(w.DoNothing(), event=w.OnCreateArtifact(filter={"$wrong": 1})),
        lambda: automate(w.DoNothing(), event=w.OnCreateArtifact(filter={"alais": "prod"})),
        lambda: automate(w.CallPython(print), event=w.OnCreateArtifact(filter={"$wrong": 1})),
        lambda: w.RunEvent.metric("loss").avg(0),
        lambda: w.RunEvent.metric("loss").gt(math.nan),
    ],
)
def test_what_could_never_fire_is_refused_when_it_is_made(home: Path, wrong: Callable[[], Any]) -> None:
    with pytest.raises(wandb.errors.InvalidValue) as caught:
        wrong()
    assert "\n" not in str(caught.value) and list(wandb.Api().automations()) == []


def test_automations_of_other_repositories_are_not_seen(home: Path, tmp_path: Path) -> None:
    automate(sh("true"))
    other = tmp_path / "other"
    other.mkdir()
    Repository.init(str(other / ".artifacts")).close()
    os.chdir(other)
    assert list(wandb.Api().automations()) == []
    save()
    os.chdir(home)
    assert read_log() == []


def test_messages_to_slack_are_refused_with_the_way_round(home: Path) -> None:
    for make in (untyped.SendNotification, untyped.SendNotification.from_integration):
        with pytest.raises(wandb.UnsupportedError, match="artstore sends no messages to Slack") as raised:
            make("slack", title="Heads up", text="The loss is high")
        assert raised.value.hint == "SendWebhook posts to an address, such as a webhook of Slack's"
