"""Automations: what sets them off and what does not, what they are told, what they do, and that a save never suffers."""

import concurrent.futures
import hashlib
import hmac
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.firing import AutomationWarning
from artstore.operations.automation.worker import perform, read_log
from artstore.operations.saving.reliance import Reliance
from artstore.repository import Repository
from artstore.store.settings import RemoteSettings
from tests.conftest import check, make_tree
from tests.support.artifacts import again, draft, log, write
from tests.support.servers import free_port

PATIENCE = 60.0
untyped: Any = w
KINDS: dict[str, Any] = {
    "created": w.OnCreateArtifact, "linked": w.OnLinkArtifact, "unlinked": w.OnUnlinkArtifact, "deleted": w.OnDeleteArtifact,
    "alias+": w.OnAddArtifactAlias, "alias-": w.OnRemoveArtifactAlias, "tag+": w.OnAddArtifactTag,
    "tag-": w.OnRemoveArtifactTag, "ctag+": w.OnAddCollectionTag, "ctag-": w.OnRemoveCollectionTag,
}  # fmt: skip
SHORT = {cls.event_type.value: short for short, cls in KINDS.items()} | {"RUN_STATE": "run"}


@pytest.fixture
def home(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty repository, whose user's settings and logs lie beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Repository.init(str(here / ".artifacts")).close()
    return here


class Heard:
    """What functions of this process were told, as `kind what`; threads that were started are waited for."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def told(self) -> list[dict[str, Any]]:
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.current_thread():
                thread.join(PATIENCE)
        events, self.events = self.events, []
        return events

    def words(self) -> list[str]:
        return sorted(map(_words, self.told()))


def _words(event: dict[str, Any]) -> str:
    what = event.get("alias") or event.get("tag") or event.get("state") or ""
    about = f"{event['collection']}:{event['version']}" if "version" in event else event.get("collection", "")
    return " ".join(part for part in (SHORT[event["event"]], about, what) if part)


def listen(*kinds: str, scope: Any = None, filter: Any = None) -> Heard:
    heard, api = Heard(), wandb.Api()
    for kind in kinds or KINDS:
        made = KINDS[kind](scope=scope, filter=filter) >> w.CallPython(heard)
        api.create_automation(made, name=f"{kind} {os.urandom(4).hex()}")
    return heard


def hear(event: w.OnEvent, **more: Any) -> Heard:
    heard = Heard()
    wandb.Api().create_automation(event >> w.CallPython(heard), name=f"hear {os.urandom(4).hex()}", **more)
    return heard


def until(ready: Callable[[], Any], what: str = "it did not happen", seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError(what)


def outcomes(number: int = 1, name: str | None = None) -> list[dict[str, Any]]:
    """What the log says of automations, as soon as it says as much."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in read_log() if name in (None, line["automation"])]

    until(lambda: len(lines()) >= number, f"not {number} outcomes of {name or 'any'}", PATIENCE + number)
    return lines()


def sh(script: str, *arguments: object) -> w.RunCommand:
    return w.RunCommand(["/bin/sh", "-c", script, *map(str, arguments)])


def automate(action: w.Action, name: str = "act", event: w.OnEvent | None = None, **more: Any) -> w.Automation:
    return wandb.Api().create_automation((event or w.OnCreateArtifact()) >> action, name=name, **more)


def save(name: str = "data", text: str = "1", **more: Any) -> wandb.Artifact:
    """A version, saved without a run."""
    with Repository(".artifacts") as repository:
        make_tree(Path("src"), {"f": text})
        repository.put("src", name, **more)
    return again(name)


# -- what sets them off --------------------------------------------------------------------------


def test_every_change_of_a_collection_is_told_once_by_its_name(home: Path) -> None:
    heard = listen()
    log(draft(text="1"))
    assert heard.words() == ["created data:v0"]
    log(draft(text="1"))
    assert heard.words() == [], "no new version, no event"
    log(draft(text="2"), aliases=["best"], tags=["clean"])
    assert heard.words() == ["alias+ data:v1 best", "created data:v1", "tag+ data:v1 clean"]
    log(draft(text="2"), aliases=["best", "prod"])
    assert heard.words() == ["alias+ data:v1 prod"], "only what it had not"
    first = again("data:v0")
    first.aliases.append("best")
    first.save()
    assert heard.words() == ["alias+ data:v0 best", "alias- data:v1 best"], "an alias moved is one taken and one given"
    first.aliases.remove("best")
    first.tags.append("old")
    first.save()
    assert heard.words() == ["alias- data:v0 best", "tag+ data:v0 old"]
    first.tags.remove("old")
    first.save()
    assert heard.words() == ["tag- data:v0 old"]
    first.description, first.metadata["a"] = "what it is", 1
    first.save()
    assert heard.words() == []
    collection = first.collection
    collection.tags = ["raw"]
    collection.save()
    assert heard.words() == ["ctag+ data raw"]
    collection.tags = ["fine"]
    collection.description = "numbers"
    collection.save()
    assert heard.words() == ["ctag+ data fine", "ctag- data raw"]


def test_copies_deletions_and_what_comes_back_are_told(home: Path) -> None:
    log(draft(text="1"), aliases=["a"])
    log(draft(text="2"))
    heard, repository = listen(), Repository(".artifacts")
    repository.copy("data:v1", "one")
    assert heard.words() == ["created one:v0"]
    repository.copy("data", "all")
    assert heard.words() == ["alias+ all:v0 a", "created all:v0", "created all:v1"]
    repository.delete("data:v1")
    assert heard.words() == ["deleted data:v1"]
    repository.delete("data:v0", delete_aliases=True)
    assert heard.words() == ["alias- data:v0 a", "deleted data:v0"]
    repository.undelete("data:v0")
    assert heard.words() == ["created data:v0"]
    repository.delete_collection("one")
    assert heard.words() == ["deleted one:v0"]
    repository.undelete_collection("one")
    assert heard.words() == ["created one:v0"]
    repository.move("one:v0", "moved")
    assert heard.words() == ["created moved:v0", "deleted one:v0"]
    repository.rename("all", "renamed")
    assert heard.words() == [], "a name is no version"
    repository.close()


def test_a_collection_that_is_deleted_with_its_aliases_takes_them_off_too(home: Path) -> None:
    save(aliases=("a", "b"))
    heard = listen("deleted", "alias-")
    again().collection.delete()
    assert heard.words() == ["alias- data:v0 a", "alias- data:v0 b", "deleted data:v0"]


def test_links_are_told_apart_from_versions(home: Path) -> None:
    wandb.Api().create_registry("models")
    source = log(draft("net", type="model"))
    heard = listen()
    link = source.link("wandb-registry-models/best", aliases=["prod"])
    told = heard.told()
    assert sorted(map(_words, told)) == ["alias+ best:v0 prod", "linked best:v0"]
    assert {event["project"] for event in told} == {"registry-models"}
    source.link("wandb-registry-models/best", aliases=["prod"])
    assert heard.words() == [], "linked already"
    link = wandb.Api().artifact("wandb-registry-models/best:v0")
    link.aliases.append("next")
    link.save()
    assert heard.words() == ["alias+ best:v0 next"]
    link.unlink()
    assert heard.words() == ["alias- best:v0 next", "alias- best:v0 prod", "unlinked best:v0"]
    source.link("wandb-registry-models/best")
    assert heard.words() == ["linked best:v0"], "as it was brought back"
    wandb.Api().registry("models").delete()
    assert heard.words() == ["unlinked best:v0"]


def test_pruning_tells_of_each_version_that_goes(home: Path) -> None:
    from artstore.operations.upkeep.pruning import Policy

    for text in "123":
        save(text=text)
    heard = listen()
    with Repository(".artifacts") as repository:
        repository.prune(["data"], Policy(keep_last=1), dry_run=True)
        assert heard.words() == []
        repository.prune(["data"], Policy(keep_last=1))
    assert heard.words() == ["deleted data:v0", "deleted data:v1"]


def test_a_version_that_several_put_together_is_told_once_when_it_is_finished(home: Path) -> None:
    heard = listen()
    for part in ("a", "b"):
        with wandb.init() as run:
            run.upsert_artifact(write(wandb.Artifact("shared", type="dataset"), **{part: part}), distributed_id="x")
    assert heard.words() == []
    with wandb.init() as run:
        run.finish_artifact(write(wandb.Artifact("shared", type="dataset"), c="c"), distributed_id="x")
    assert heard.words() == ["created shared:v0"]


def test_runs_tell_when_they_begin_end_and_fail(home: Path) -> None:
    heard = hear(w.OnRunState())
    with wandb.init(project="p", id="good", name="nice", group="g", job_type="train", tags=["t"]):
        (began,) = heard.told()
        assert began["state"] == "running"
    (ended,) = heard.told()
    assert (ended["state"], ended["run"], ended["project"]) == ("finished", "good", "p")
    assert (ended["display_name"], ended["group"], ended["job_type"], ended["tags"]) == ("nice", "g", "train", ["t"])
    with pytest.raises(ZeroDivisionError), wandb.init(id="bad"):
        1 / 0  # noqa: B018
    assert heard.words() == ["run failed", "run running"]
    run = wandb.init(id="code")
    run.finish(exit_code=3)
    run.finish()
    assert heard.words() == ["run failed", "run running"], "an end is told once"


def test_runs_are_filtered_by_state_and_name(home: Path) -> None:
    failed = hear(w.OnRunState(filter=RunIs("failed")))
    named = hear(w.OnRunState(filter=(w.RunEvent.name.matches_regex("^night")) & RunIs("finished")))
    for id, name, code in (("a", "nightly", 0), ("b", "nightly", 1), ("c", "daily", 0)):
        wandb.init(id=id, name=name).finish(exit_code=code)
    assert [event["run"] for event in failed.told()] == ["b"]
    assert [event["run"] for event in named.told()] == ["a"]


def RunIs(state: str) -> w.FilterExpr:
    found: w.FilterExpr = w.RunEvent.state.eq(state)
    return found


def test_a_disabled_run_tells_nothing(home: Path) -> None:
    heard, runs = listen(), hear(w.OnRunState())
    with wandb.init(mode="disabled") as run:
        run.log_artifact(draft())
    assert (heard.words(), runs.words()) == ([], [])


@pytest.mark.parametrize(
    ("condition", "values", "fires"),
    [
        (w.RunEvent.metric("loss") < 0.5, [0.9, 0.5, 0.4, 0.3], 0.4),
        (w.RunEvent.metric("loss") <= 0.5, [0.9, 0.5, 0.4], 0.5),
        (w.RunEvent.metric("loss") > 1, [1, 2], 2),
        (w.RunEvent.metric("loss").gte(2), [1, 2], 2),
        (w.RunEvent.metric("loss").avg(3) < 2, [1, 1, 9, 2, 2, 1], 5 / 3),
        (w.RunEvent.metric("loss").mean(2).lt(2), [1], None),
        (w.RunEvent.metric("loss").max(2) < 2, [1, 3, 1, 1], 1),
        (w.RunEvent.metric("loss").min(2) > 2, [3, 1, 3, 4], 3),
        (w.RunEvent.metric("loss") > 1, [math.nan, True, "9", None], None),
        (w.RunEvent.metric("other") > 1, [2, 3], None),
    ],
)
def test_a_metric_fires_once_when_its_last_values_pass(
    home: Path, condition: w.MetricFilter, values: list[Any], fires: float | None
) -> None:
    automate(sh('cat > "$0.part"; mv "$0.part" "$0"', home / "told"), event=w.OnRunMetric(filter=condition))
    with wandb.init(id="r") as run:
        for value in values:
            run.log({"loss": value})
    if fires is not None:
        outcomes()
        told = json.loads((home / "told").read_text())
        assert told["value"] == pytest.approx(fires) and told["run"] == "r"
        assert told["metric"] == "loss" and told["event"] == "RUN_METRIC_THRESHOLD"
    automate(sh("true"), "sentinel", w.OnRunState())
    with wandb.init():
        pass
    outcomes(2, "sentinel")
    assert len(outcomes(0, "act")) == (fires is not None)


def test_a_function_is_called_for_a_metric_too(home: Path) -> None:
    heard = hear(w.OnRunMetric(filter=w.RunEvent.metric("loss") < 1))
    with wandb.init() as run:
        run.log({"loss": 0.5})
        run.log({"loss": 0.4})
    assert [event["value"] for event in heard.told()] == [0.5]


def test_a_metric_fires_once_in_a_run_that_is_resumed(home: Path) -> None:
    automate(sh("true"), event=w.OnRunMetric(filter=w.RunEvent.metric("loss") < 1))
    for _ in range(2):
        with wandb.init(id="same", resume="allow") as run:
            run.log({"loss": 0.5})
    automate(sh("true"), "sentinel", w.OnRunState())
    with wandb.init():
        pass
    outcomes(2, "sentinel")
    assert len(outcomes(1, "act")) == 1


def test_an_infinite_metric_is_told_as_json(home: Path) -> None:
    automate(sh('cat > "$0"', home / "told"), event=w.OnRunMetric(filter=w.RunEvent.metric("loss") > 1))
    with wandb.init() as run:
        run.log({"loss": math.inf})
    outcomes()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((home / "told").read_text(), parse_constant=refuse)


def test_metrics_heed_the_project_and_the_run_s_name(home: Path) -> None:
    api = wandb.Api()
    low = w.RunEvent.metric("loss") < 1
    automate(sh("true"), "here", w.OnRunMetric(scope=api.project("a"), filter=low & (w.RunEvent.name == "x")))
    for project, name in (("a", "y"), ("b", "x"), ("a", "x")):
        with wandb.init(project=project, name=name, id=f"{project}{name}") as run:
            run.log({"loss": 0})
    assert [line["about"] for line in outcomes()] == ["local/a/ax"]


def test_scopes_are_a_collection_a_project_a_registry_or_all(home: Path) -> None:
    api = wandb.Api()
    registry = api.create_registry("models")
    log(draft("a"), project="p")
    log(draft("b"), project="q")
    heard = {
        "collection": listen("created", scope=api.artifact_collection("artifact", "p/a")),
        "project": listen("created", scope=api.project("p")),
        "registry": listen("linked", scope=registry),
        "all": listen("created", "linked"),
    }
    log(draft("a", "2"), project="p")
    log(draft("c", "2"), project="p")
    last = log(draft("a", "2"), project="q")
    last.link("wandb-registry-models/a")
    last.link("elsewhere/links")
    assert {key: one.words() for key, one in heard.items()} == {
        "collection": ["created a:v1"],
        "project": ["created a:v1", "created c:v0"],
        "registry": ["linked a:v0"],
        "all": ["created a:v0", "created a:v1", "created c:v0", "linked a:v0", "linked links:v0"],
    }


def test_an_automation_follows_its_collection_to_another_name(home: Path) -> None:
    save("old")
    heard = listen("created", scope=wandb.Api().artifact_collection("artifact", "old"))
    with Repository(".artifacts") as repository:
        repository.rename("old", "new")
    save("old", "2")
    assert heard.words() == ["created new:v1"]


@pytest.mark.parametrize(
    ("filter", "aliases"),
    [
        (w.ArtifactEvent.alias.eq("prod"), ["prod"]),
        (w.ArtifactEvent.alias == "prod", ["prod"]),
        (w.ArtifactEvent.alias.matches_regex("^prod"), ["prod", "prod-2"]),
        (w.ArtifactEvent.alias.contains("o"), ["prod", "prod-2", "old"]),
        (~w.ArtifactEvent.alias.contains("o"), ["best"]),
        ((w.ArtifactEvent.alias == "prod") | (w.ArtifactEvent.alias == "best"), ["prod", "best"]),
        (w.ArtifactEvent.alias.contains("o") & ~(w.ArtifactEvent.alias == "old"), ["prod", "prod-2"]),
        (w.ArtifactEvent.alias.in_(["old", "best"]), ["best", "old"]),
        (w.ArtifactEvent.alias.not_in(["old", "best"]), ["prod", "prod-2"]),
        (w.ArtifactEvent.name == "data", ["prod", "prod-2", "best", "old"]),
        (w.ArtifactEvent.name == "other", []),
        (w.ArtifactEvent.type == "model", []),
        (w.ArtifactEvent.metadata("score.top") >= 0.5, ["prod", "prod-2", "best", "old"]),
        (w.ArtifactEvent.metadata("score.top") > 0.5, []),
        ({"$or": [{"alias": "old"}, {"tag": "x"}]}, ["old"]),
    ],
)
def test_filters_choose_by_what_the_event_says(home: Path, filter: Any, aliases: list[str]) -> None:
    heard = listen("alias+", filter=filter)
    save(aliases=("prod", "prod-2", "best", "old"), metadata={"score": {"top": 0.5}})
    assert sorted(event["alias"] for event in heard.told()) == sorted(aliases)


def test_tags_are_filtered_as_aliases_are(home: Path) -> None:
    heard = listen("tag+", "tag-", filter=w.ArtifactEvent.tag.matches_regex("^q"))
    save(tags=("quick", "slow"))
    with Repository(".artifacts") as repository:
        repository.set_tags("data", remove=("quick", "slow"))
    assert heard.words() == ["tag+ data:v0 quick", "tag- data:v0 quick"]


def test_one_that_is_switched_off_is_silent_until_it_is_switched_on(home: Path) -> None:
    api, off = wandb.Api(), automate(sh("true"), "off", enabled=False)
    automate(sh("true"), "on")
    save(text="1")
    outcomes(1, "on")
    assert outcomes(0, "off") == []
    api.update_automation(off, enabled=True)
    save(text="2")
    outcomes(1, "off")
    assert [line["about"] for line in outcomes(0, "off")] == ["local/uncategorized/data:v1"]


def test_a_function_that_is_switched_off_is_not_called(home: Path) -> None:
    heard = hear(w.OnCreateArtifact(), enabled=False)
    save()
    assert heard.words() == []


# -- what does not -------------------------------------------------------------------------------


def test_what_push_pull_clone_gc_and_fsck_bring_sets_nothing_off(home: Path, tmp_path: Path) -> None:
    log(draft(text="1"), aliases=["a"], tags=["t"])
    heard, runs = listen(), hear(w.OnRunState())
    there = tmp_path / "there"
    make_tree(there / "in", {"f": "theirs"})
    with Repository.init(str(there / ".artifacts")) as other:
        other.put(str(there / "in"), "theirs", aliases=("b",), tags=("u",))
    with Repository(".artifacts") as repository:
        repository.settings.set_remote("nas", RemoteSettings(str(there / ".artifacts")))
        repository.push("nas")
        repository.pull("nas")
        repository.gc(now=True)
        assert repository.fsck().problems == []
        assert "theirs" in [state.path.name for state in repository.collections()]
        repository.automations.announce([])
    assert (heard.words(), runs.words()) == ([], [])
    with wandb.init():
        pass
    assert (heard.words(), runs.words()) == ([], ["run finished", "run running"]), "nor later"
    check(there / ".artifacts")


def test_what_auto_fetch_pulls_sets_nothing_off(home: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    make_tree(there / "in", {"f": "theirs"})
    with Repository.init(str(there / ".artifacts")) as other:
        other.put(str(there / "in"), "theirs", aliases=("b",))
    with open(".artifacts/config", "a") as config:
        config.write(f'[core]\nauto_fetch = on\n[remote "nas"]\nurl = {there}/.artifacts\n')
    heard = listen()
    with wandb.init() as run:
        run.use_artifact("theirs:b")
    assert heard.words() == []


def test_a_save_that_failed_sets_nothing_off_and_nor_does_what_comes_after(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen()
    with wandb.init() as run:
        with monkeypatch.context() as patched:
            patched.setattr(Reliance, "check_bases", _fails)
            with pytest.raises(wandb.errors.Damage):
                run.log_artifact(draft(), aliases=["a"])
        assert heard.words() == []
    assert heard.words() == [], "the end of the run does not tell of it either"
    with pytest.raises(wandb.errors.NotFound):
        again()
    save("good")
    assert heard.words() == ["created good:v0"]


def test_a_failed_save_leaves_nothing_that_is_told_with_the_next_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artstore.api.handles import opened

    heard = listen()
    make_tree(Path("src"), {"f": "1"})
    with monkeypatch.context() as patched:
        patched.setattr(Reliance, "check_bases", _fails)
        with pytest.raises(wandb.errors.Damage):
            opened(str(home / ".artifacts")).put("src", "data")
    with wandb.init():
        pass
    assert heard.words() == []


def _fails(self: Reliance, *_: Any) -> None:
    raise wandb.errors.MissingObject("it went away meanwhile")


def test_refused_changes_set_nothing_off(home: Path) -> None:
    save(aliases=("a",))
    heard = listen()
    with Repository(".artifacts") as repository:
        attempts: tuple[Callable[[], object], ...] = (
            lambda: repository.delete("data:v0"),
            lambda: repository.set_aliases("data:v0", add=("b",), remove=("none",)),
            lambda: repository.set_tags("data:v7", add=("x",)),
            lambda: repository.unlink("data:v0"),
        )
        for refused in attempts:
            with pytest.raises(wandb.errors.CommError):
                refused()
    save(text="2")
    assert heard.words() == ["created data:v1"]


# -- commands ------------------------------------------------------------------------------------


def test_a_command_is_told_the_event_and_knows_where_it_is(home: Path) -> None:
    program = (
        "import json,os,sys; print(json.dumps([json.load(sys.stdin), dict(os.environ), os.getcwd(), sys.argv[1:]]))"
    )
    arguments = ["$HOME; `id` && echo > x | 'q' \"*\"", "", "--", "ünï"]
    script = f"import sys; sys.stdout = open({str(home / 'told.part')!r}, 'w'); {program}"
    automate(
        w.RunCommand([sys.executable, "-c", script, *arguments]),
        event=w.OnAddArtifactAlias(filter=w.ArtifactEvent.alias == "prod"),
    )
    version = save(aliases=("prod",), metadata={"k": ["v", 1]}, tags=("t",), type="dataset")
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    event, environment, folder, given = json.loads((home / "told.part").read_text())
    assert given == arguments, "no shell read them"
    assert folder == str(home) and environment["ARTSTORE_DIR"] == str(home / ".artifacts")
    said = {
        "event": "ADD_ARTIFACT_ALIAS", "entity": "local", "project": "uncategorized", "collection": "data",
        "type": "dataset", "version": "v0", "spec": "local/uncategorized/data:v0", "id": version.id,
        "digest": version.digest, "alias": "prod", "metadata": {"k": ["v", 1]}, "tags": ["t"],
    }  # fmt: skip
    assert event.items() >= said.items()
    assert {"prod", "latest"} == set(event["aliases"]) and event["time"].startswith("20")
    assert environment["ARTSTORE_EVENT"] == "ADD_ARTIFACT_ALIAS"
    for key in ("entity", "project", "collection", "type", "version", "spec", "id", "digest", "alias"):
        assert environment[f"ARTSTORE_EVENT_{key.upper()}"] == event[key]
    assert json.loads(environment["ARTSTORE_EVENT_METADATA"]) == {"k": ["v", 1]}
    assert sorted(os.listdir(home)) == [".artifacts", "src", "told.part"], "nothing was made by a shell"


def test_a_command_sees_the_version_that_it_is_told_of(home: Path) -> None:
    script = f'cd /; {sys.executable} -m artstore cat "$ARTSTORE_EVENT_SPEC" f'
    automate(sh(script))
    save(text="what was saved")
    (line,) = outcomes()
    assert (line["outcome"], line["output"]) == ("ok", "what was saved")


@pytest.mark.parametrize(
    ("argv", "outcome", "output"),
    [
        (["true"], "ok", ""),
        (["sh", "-c", "echo out; echo err >&2; exit 7"], "exit code 7", "out\nerr\n"),
        (["sh", "-c", "kill -9 $$"], "signal 9", ""),
        (["printf", r"\377\033[31m"], "ok", "\ufffd\x1b[31m"),
        (["sh", "-c", "sleep 30 & echo started"], "ok", "started\n"),
    ],
)
def test_what_came_of_a_command_is_in_the_log(home: Path, argv: list[str], outcome: str, output: str) -> None:
    automate(w.RunCommand(argv))
    save()
    (line,) = outcomes()
    assert outcome in line["outcome"] and line["output"] == output and line["seconds"] < 10
    assert (line["automation"], line["event"]) == ("act", "CREATE_ARTIFACT")
    assert line["about"] == "local/uncategorized/data:v0"


def test_of_much_output_the_last_is_kept(home: Path) -> None:
    automate(sh("head -c 2000000 /dev/zero | tr '\\0' x; echo the end"))
    save()
    (line,) = outcomes()
    assert line["output"].endswith("xxxthe end\n") and 100 < len(line["output"]) <= 4096


@pytest.mark.parametrize("argv", [["./no such program"], ["/etc/passwd"], ["a\0b"], ["x" * 5000]])
def test_a_command_that_can_t_be_started_is_noted_and_the_others_run(home: Path, argv: list[str]) -> None:
    automate(w.RunCommand(argv), "bad")
    automate(sh("true"), "good")
    save()
    assert [line["outcome"] for line in outcomes(1, "good")] == ["ok"]
    (line,) = outcomes(1, "bad")
    assert line["outcome"] != "ok" and again().version == "v0"


@pytest.mark.parametrize("metadata", [{"words": "x" * 300_000}, {f"key {n}": "x" * 3000 for n in range(100)}])
def test_a_command_is_told_all_metadata_however_large(home: Path, metadata: dict[str, str]) -> None:
    automate(sh('cat > "$0.part"; mv "$0.part" "$0"', home / "told"))
    save(metadata=metadata)
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    assert json.loads((home / "told").read_text())["metadata"] == metadata


def test_a_command_that_hangs_is_ended_with_all_that_it_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.operations.automation.worker.COMMAND_TIMEOUT", 0.3)
    rule = automate(sh('echo begun; sh -c "sleep 60 & echo $! > pid; wait"'), enabled=False).rule
    started = time.monotonic()
    outcome, output = perform(rule, {"event": "CREATE_ARTIFACT"}, str(home / ".artifacts"), 1)
    assert outcome.startswith("ended after") and output == "begun\n" and time.monotonic() - started < 5


def test_a_save_does_not_wait_for_a_command_nor_hold_its_descriptors(home: Path) -> None:
    automate(sh("touch begun; sleep 5"))
    make_tree(Path("src"), {"f": "1"})
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    started = time.monotonic()
    command = [sys.executable, "-m", "artstore", "put", "src", "-n", "data"]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[writer], timeout=60)
    assert done.returncode == 0, done.stderr
    os.close(writer)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "whoever waits for the end of our output (or our lock) goes on"
    os.close(reader)
    assert time.monotonic() - started < 4
    until(lambda: Path("begun").exists())


def test_commands_inherit_no_descriptors(home: Path) -> None:
    automate(sh("ls -l /proc/self/fd"))
    with open("secret", "w") as file:
        os.set_inheritable(file.fileno(), True)
        save()
        (line,) = outcomes()
    assert "secret" not in line["output"] and "socket" not in line["output"]


def test_a_circle_of_automations_ends(home: Path) -> None:
    script = f"echo x >> count; wc -l < count > src/f; {sys.executable} -m artstore put src -n data"
    automate(sh(script))
    save(text="0")
    outcomes(3)
    assert "loop" in outcomes(3)[-1]["output"]
    assert Path("count").read_text() == "x\n" * 3
    assert again().version == "v3", "the saves themselves were made"


def test_a_repository_in_a_folder_with_any_name_fires(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.fsencode(home) + b"/caf\xe9 $(touch x)"
    os.mkdir(folder)
    os.chdir(folder)
    Repository.init(".artifacts").close()
    automate(sh('pwd; test -f "$ARTSTORE_DIR/format"'))
    save()
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    check(Path(".artifacts"))


def test_the_process_that_saves_keeps_no_zombies(home: Path) -> None:
    others = set(_children())  # such as the tracker of another test's processes
    save()
    automate(w.RunCommand(["true"]), event=w.OnAddArtifactTag())
    with Repository(".artifacts") as repository:
        for number in range(50):
            repository.set_tags("data", add=(f"t{number}",))
    outcomes(50)
    assert until(lambda: not [pid for pid in _children() if pid not in others and not _ended(pid)] or None)
    assert not set(_zombies()) - others


def _children() -> list[int]:
    listed = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return [int(pid) for pid in listed]


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _zombies() -> list[int]:
    return [pid for pid in _children() if _ended(pid) and Path(f"/proc/{pid}").exists()]


def test_automations_fire_from_several_threads_and_from_forked_children(home: Path) -> None:
    automate(sh("true"))

    for number in range(4):
        make_tree(Path(f"in{number}"), {"f": str(number)})

    def put(number: int) -> None:
        with Repository(".artifacts") as repository:
            repository.put(f"in{number}", f"thread-{number}")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    make_tree(Path("in0"), {"f": "forked"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=put, args=(0,))
        child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    about = sorted(line["about"].rpartition("/")[2] for line in outcomes(5))
    assert about == ["thread-0:v0", "thread-0:v1", "thread-1:v0", "thread-2:v0", "thread-3:v0"]


# -- functions -----------------------------------------------------------------------------------


def test_a_function_that_raises_or_hangs_does_not_touch_the_save(home: Path) -> None:
    let_go = threading.Event()

    def fails(event: dict[str, Any]) -> None:
        raise RuntimeError("no such luck")

    def hangs(event: dict[str, Any]) -> None:
        let_go.wait(PATIENCE)

    automate(w.CallPython(fails), "fails")
    automate(w.CallPython(hangs), "hangs")
    started = time.monotonic()
    assert save().version == "v0"
    assert time.monotonic() - started < 5
    (line,) = outcomes(1, "fails")
    assert line["outcome"] == "RuntimeError: no such luck"
    let_go.set()
    assert [line["outcome"] for line in outcomes(1, "hangs")] == ["ok"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_function_that_ends_the_program_does_not_end_the_save(home: Path) -> None:
    automate(w.CallPython(lambda event: sys.exit(3)), "exits")
    automate(w.CallPython(lambda event: None), "other")
    assert save().version == "v0"
    assert [line["outcome"] for line in outcomes(1, "other")] == ["ok"]
    assert "SystemExit" in outcomes(1, "exits")[0]["outcome"]


def test_functions_have_names_of_their_own_and_are_found_changed_and_deleted_as_others(home: Path) -> None:
    api, heard = wandb.Api(), Heard()
    made = automate(w.CallPython(heard), "mine", description="what for")
    assert api.automation("mine") == made and [one.name for one in api.automations(name="mine")] == ["mine"]
    with pytest.raises(ValueError, match="'mine' exists"):
        automate(w.CallPython(heard), "mine")
    assert automate(w.CallPython(heard), "mine", fetch_existing=True) == made
    assert api.update_automation(made, enabled=False).enabled is False
    save()
    assert heard.words() == []
    assert api.delete_automation("mine") is True
    assert list(api.automations()) == []


def test_functions_are_gone_when_they_are_deleted(home: Path) -> None:
    heard, api = Heard(), wandb.Api()
    made = automate(w.CallPython(heard))
    save()
    assert heard.words() == ["created data:v0"]
    assert api.delete_automation(made) is True
    save(text="2")
    assert heard.words() == []


# -- webhooks ------------------------------------------------------------------------------------


class Server:
    """A web server that notes what it is sent, and answers by order."""

    def __init__(self, *answers: tuple[int, dict[str, str]], slow: float = 0) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer, planned = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if slow:
                    time.sleep(slow)
                status, headers = planned.pop(0) if planned else (200, {})
                self.send_response(status)
                for key, value in ({"Content-Length": "0"} | headers).items():
                    self.send_header(key, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


EVENT = {
    "event": "ADD_ARTIFACT_ALIAS", "entity": "e", "project": "p", "collection": 'quo"te', "type": "model", "version": "v3",
    "spec": 'e/p/quo"te:v3', "id": "abc", "alias": "prod", "user": "me", "metadata": {"stage": 'a"}, {"', "n": 1.5, "l": [1]},
}  # fmt: skip


def deliver(action: w.SendWebhook, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any] = EVENT) -> str:
    """The outcome, with short breaks between tries."""
    monkeypatch.setattr("artstore.operations.automation.worker.RETRY_AFTER", (0.01, 0.01))
    rule = {"id": "1", "name": "hook", "action": action.told()}
    return perform(rule, event, "/nowhere/.artifacts", 1)[0]


def test_a_webhook_posts_the_event_from_a_process_of_its_own(home: Path) -> None:
    with Server() as server:
        automate(w.SendWebhook(server.url))
        save(metadata={"a": 1})
        assert [line["outcome"] for line in outcomes()] == ["ok"]
        ((verb, path, headers, body),) = server.requests
    event = json.loads(body)
    assert (verb, path, headers["content-type"]) == ("POST", "/hook", "application/json")
    assert event["spec"] == "local/uncategorized/data:v0" and event["metadata"] == {"a": 1}
    assert "authorization" not in headers and "x-wandb-signature" not in headers


def test_a_body_is_signed_and_secrets_are_nowhere_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, token = f"s-{os.urandom(8).hex()}", f"t-{os.urandom(8).hex()}"
    monkeypatch.setenv("HOOK_SECRET", secret)
    monkeypatch.setenv("HOOK_TOKEN", token)
    seen: list[bytes] = []
    with Server(slow=0.3) as server:
        automate(w.SendWebhook(server.url, secret_env="HOOK_SECRET", token_env="HOOK_TOKEN"))
        save()
        until(lambda: server.requests)
        for entry in os.listdir("/proc"):
            try:
                seen.append(Path(f"/proc/{entry}/cmdline").read_bytes())
            except OSError:
                continue
        assert [line["outcome"] for line in outcomes()] == ["ok"]
        ((_, _, headers, body),) = server.requests
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-wandb-signature"] == signature and headers["authorization"] == f"Bearer {token}"
    for folder in (tmp_path / "config", tmp_path / "state", home):
        seen += [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert not any(value.encode() in text for value in (secret, token) for text in (*seen, body))


def test_a_secret_that_is_not_set_sends_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server:
        for action in (w.SendWebhook(server.url, secret_env="NO_SUCH"), w.SendWebhook(server.url, token_env="NO_SUCH")):
            assert deliver(action, monkeypatch) == "NO_SUCH is not set in the environment"
        assert server.requests == []


@pytest.mark.parametrize("token", ["secret\nvalue", "secret\r\nX-Evil: 1", "secret\u2603value"])
def test_a_token_that_can_t_be_sent_is_not_told_to_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", token)
    with Server() as server:
        outcome = deliver(w.SendWebhook(server.url, token_env="HOOK_TOKEN"), monkeypatch)
        assert not any("x-evil" in headers for _, _, headers, _ in server.requests)
    assert outcome != "ok" and "secret" not in outcome and "secret" not in json.dumps(read_log())


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_that_fails_is_asked_again(home: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Server((status, {}), (status, {})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "ok"
        assert len(server.requests) == 3 and len({body for *_, body in server.requests}) == 1
    with Server(*[(status, {})] * 9) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == f"the server answered {status}"
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_server_that_refuses_is_not_asked_again(home: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Server((status, {})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == f"the server answered {status}"
        assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    outcome = deliver(w.SendWebhook(f"http://127.0.0.1:{port}/x?key=hidden"), monkeypatch)
    assert f"127.0.0.1:{port} can't be reached" in outcome and "hidden" not in outcome
    assert [line["outcome"] for line in read_log()] == [outcome]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_followed_as_a_post_without_a_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Server() as target, Server((status, {"Location": target.url})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "ok"
        ((verb, _, _, body),) = target.requests
        assert verb == "POST" and body == server.requests[0][3]


@pytest.mark.parametrize("given", ["secret_env", "token_env"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_with_a_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int, given: str
) -> None:
    monkeypatch.setenv("HOOK", "hidden")
    with Server() as target, Server((status, {"Location": target.url})) as server:
        outcome = deliver(w.SendWebhook(server.url, **{given: "HOOK"}), monkeypatch)
        assert str(status) in outcome and target.requests == [] and len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_other_redirects_do_not_turn_a_post_into_a_get(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with Server() as target, Server((status, {"Location": target.url})) as server:
        assert str(status) in deliver(w.SendWebhook(server.url), monkeypatch)
        assert target.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "//[", "http://["])
def test_a_redirect_to_what_is_no_web_address_is_not_followed(
    home: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with Server((307, {"Location": target})) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) != "ok"
        assert len(server.requests) == 1


def test_a_circle_of_redirects_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(*[(307, {"Location": "/hook"})] * 99) as server:
        assert deliver(w.SendWebhook(server.url), monkeypatch) == "the server answered 307"
        assert len(server.requests) <= 10


def test_a_payload_is_filled_in_and_stays_json_whatever_the_values(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {
        "event": "${event_type} by ${event_author}",
        "what": ["${artifact_collection_name}", "${artifact_version_string}", {"deep": "${alias}"}],
        "home": "${entity_name}/${project_name}",
        "meta": "${artifact_metadata.stage}|${artifact_metadata.n}|${artifact_metadata.l}",
        "absent": "[${artifact_metadata.none}${tag}${no_such}]",
        "as it is": ["$alias", "${", "{alias}", 1, None, True],
    }
    with Server() as server:
        assert deliver(w.SendWebhook(server.url, payload), monkeypatch) == "ok"
        body = json.loads(server.requests[0][3])
    assert body == {
        "event": "ADD_ARTIFACT_ALIAS by me",
        "what": ['quo"te', 'e/p/quo"te:v3', {"deep": "prod"}],
        "home": "e/p",
        "meta": 'a"}, {"|1.5|[1]',
        "absent": "[]",
        "as it is": ["$alias", "${", "{alias}", 1, None, True],
    }


def test_what_was_filled_in_is_not_filled_in_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "hidden")
    event = EVENT | {"metadata": {"stage": "${ACCESS_TOKEN}"}, "alias": "${ACCESS_TOKEN}"}
    with Server() as server:
        action = w.SendWebhook(server.url, {"a": "${artifact_metadata.stage} ${alias}"}, token_env="HOOK")
        assert deliver(action, monkeypatch, event) == "ok"
        assert json.loads(server.requests[0][3]) == {"a": "${ACCESS_TOKEN} ${ACCESS_TOKEN}"}


def test_a_payload_of_a_run_has_its_names(home: Path) -> None:
    with Server() as server:
        payload = {
            "t": "${event_type} ${project_name} ${run_id} ${run_name} ${run_state} [${artifact_collection_name}]"
        }
        automate(w.SendWebhook(server.url, payload), event=w.OnRunState(filter=RunIs("failed")))
        wandb.init(project="p", id="r", name="n").finish(exit_code=1)
        outcomes()
        assert json.loads(server.requests[0][3]) == {"t": "RUN_STATE p r n failed []"}


def test_a_slow_server_does_not_slow_down_a_save(home: Path) -> None:
    def quickest(name: str) -> float:
        """Of five saves: what else the machine does only adds to them."""
        make_tree(Path("src"), {"f": "0"})
        with Repository(".artifacts") as repository:

            def save(number: int) -> float:
                Path("src/f").write_text(f"{name} {number}")
                started = time.monotonic()
                repository.put("src", name)
                return time.monotonic() - started

            return min(map(save, range(5)))

    started = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True)
    process, without = time.monotonic() - started, quickest("without")
    with Server(slow=0.5) as server:
        automate(w.SendWebhook(server.url))
        took = quickest("with")
        outcomes(5)
    assert took - without < 0.03 + process


# -- where they are kept -------------------------------------------------------------------------


def rules(tmp_path: Path) -> Path:
    return tmp_path / "config" / "artstore" / "automations.json"


def test_rules_lie_in_the_user_s_folder_alone_readable_by_nobody_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    umask = os.umask(0)
    try:
        automate(w.RunCommand(["true", "very-special-argument"]))
        save()
        outcomes()
    finally:
        os.umask(umask)
    assert rules(tmp_path).stat().st_mode & 0o777 == 0o600
    assert rules(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "artstore" / "automations.log").stat().st_mode & 0o777 == 0o600
    assert "very-special-argument" in rules(tmp_path).read_text()
    for file in (home / ".artifacts").rglob("*"):
        assert "special" not in file.name and (file.is_dir() or b"very-special-argument" not in file.read_bytes())
    assert [file.name for file in rules(tmp_path).parent.iterdir() if file.suffix not in (".json", ".lock")] == []


def test_a_copied_repository_runs_nothing_and_says_so_until_it_is_allowed(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    shutil.copytree(home, other)
    os.chdir(other)
    with pytest.warns(AutomationWarning, match="artstore automation allow") as warned:
        save(text="in the copy")
    assert len(warned) == 1 and str(other) in str(warned[0].message)
    os.chdir(home)
    save(text="in the first")
    assert [line["output"] for line in outcomes()] == [f"{home}\n"], "only there"
    check(other / ".artifacts")


def test_editing_an_automation_does_not_allow_it_where_nobody_did(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    shutil.copytree(home, other)
    os.chdir(other)
    (rule,) = wandb.Api().automations()
    rule.name = "renamed"
    wandb.Api().update_automation(rule)
    with pytest.warns(AutomationWarning, match="artstore automation allow"):
        save(text="in the copy")
    assert read_log() == []


def test_a_web_address_with_a_password_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="the web address of h.example holds a password"):
        automate(w.SendWebhook("https://me:hidden@h.example/x"))


def test_a_repository_that_was_moved_asks_once_and_heeds_the_answer(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    os.chdir(tmp_path)
    home.rename(other)
    os.chdir(other)
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    make_tree(Path("src"), {"f": "1"})
    with Repository(".artifacts") as repository:
        repository.automations.ask = yes
        repository.put("src", "data")
        repository.set_tags("data", add=("x",))
        Path("src/f").write_text("2")
        repository.put("src", "data")
    assert len(asked) == 1 and str(other) in asked[0]
    assert [line["output"] for line in outcomes(2)] == [f"{other}\n"] * 2
    check(other / ".artifacts")
    other.rename(home)
    os.chdir(home)


def test_a_refusal_is_asked_once_too(home: Path, tmp_path: Path) -> None:
    automate(sh("true"))
    other, asked = tmp_path / "other", list[str]()
    shutil.copytree(home, other)
    os.chdir(other)
    make_tree(Path("src"), {"f": "1"})

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with Repository(".artifacts") as repository:
        repository.automations.ask = no
        repository.put("src", "data")
        Path("src/f").write_text("2")
        repository.put("src", "data")
    assert len(asked) == 1
    save(text="3")
    os.chdir(home)
    save()
    assert len(outcomes()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"ID": {}}', b'{"ID": 1}', b'{"ID": {"automations": 3, "paths": []}}',
        b'{"ID": {"automations": [{}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"enabled": true}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": ["x"], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"id": "1", "name": "n", "enabled": true, "event": "CREATE_ARTIFACT", "scope": null,'
        b' "filter": 5, "metric": null, "action": {}}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"id": "1", "name": "n", "enabled": true, "event": "RUN_METRIC_THRESHOLD", "scope": {},'
        b' "filter": {}, "metric": {"name": "loss"}, "action": {}}], "paths": ["ROOT"], "refused": []}}',
    ],
)  # fmt: skip
def test_a_broken_file_of_rules_costs_a_warning_never_a_save_nor_a_run(
    home: Path, tmp_path: Path, content: bytes
) -> None:
    with Repository(".artifacts") as repository:
        place = repository.automations.place
    rules(tmp_path).parent.mkdir(parents=True)
    rules(tmp_path).write_bytes(content.replace(b"ID", place.id.encode()).replace(b"ROOT", place.root.encode()))
    code = (
        "import artstore as wandb, sys\n"
        "with wandb.init() as run:\n"
        "    a = wandb.Artifact('data', type='x')\n"
        "    with a.new_file('f') as file: file.write('1')\n"
        "    run.log_artifact(a)\n"
        "    run.log({'loss': 1})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert again().version == "v0"
    assert "automation" in done.stderr.lower(), "a warning says that none could be set off"


def test_rules_of_somebody_else_do_not_run(home: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    automate(sh("true"))
    os.chown(rules(tmp_path), 12345, 12345)
    with pytest.warns(AutomationWarning):
        save()
    assert read_log() == []


def test_rules_behind_a_symlink_work_and_stay_where_they_are(home: Path, tmp_path: Path) -> None:
    automate(sh("true"))
    kept = tmp_path / "dotfiles.json"
    rules(tmp_path).rename(kept)
    rules(tmp_path).symlink_to(kept)
    save()
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    automate(sh("true"), "second")
    assert [one.name for one in wandb.Api().automations()] == ["act", "second"]


def test_a_folder_of_settings_that_can_t_be_written_is_an_error_in_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(wandb.errors.StorageError, match=r"cannot write .*automations\.json"):
        automate(sh("true"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AutomationWarning)
        assert save().version == "v0", "and no save needs it"


def test_a_log_that_can_t_be_written_keeps_no_automation_from_running(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    automate(sh("touch first"), "first")
    automate(sh("touch second"), "second")
    save()
    until(lambda: Path("first").exists())
    until(lambda: Path("second").exists(), "the first one's line could not be written, so the second never ran")


def test_a_log_that_grew_large_is_begun_anew_and_the_one_before_is_kept(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "artstore"
    folder.mkdir(parents=True)
    line = {"time": "2026-01-01T00:00:00Z", "automation": "old", "id": "1", "event": "X", "about": None}
    text = json.dumps(line | {"outcome": "ok", "seconds": 0.1, "output": "y" * 4000}) + "\n"
    (folder / "automations.log").write_text(text * 300)
    automate(sh("true"))
    save()
    outcomes(1, "act")
    assert (folder / "automations.log").stat().st_size < 4096
    assert (folder / "automations.log.1").stat().st_size == len(text) * 300
    assert len(read_log()) == 301 and read_log()[-1]["automation"] == "act"


def test_processes_that_make_and_delete_rules_lose_none_of_each_other_s(home: Path) -> None:
    code = (
        "import sys, artstore\nfrom artstore.automations import *\napi = artstore.Api()\n"
        "for n in range(6):\n"
        "    api.create_automation(OnCreateArtifact() >> DoNothing(), name=f'{sys.argv[1]}-{n}')\n"
        "    if n % 2: api.delete_automation(f'{sys.argv[1]}-{n}')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    names = sorted(one.name for one in wandb.Api().automations())
    assert names == [f"{n}-{m}" for n in range(4) for m in (0, 2, 4)]


# -- the interface in Python ---------------------------------------------------------------------


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
