"""Events: which changes set an automation off, which don't, and how scopes and filters choose."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.saving.reliance import Reliance
from artstore.repository import Repository
from artstore.store.settings import RemoteSettings
from tests.support.artifacts import again, draft, log, write
from tests.support.automations import KINDS, Heard, RunIs, _words, automate, outcomes, save, sh
from tests.support.checks import check
from tests.support.folders import make_tree


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
    from artstore.domain.retention import Policy

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
        (w.RunEvent.metric("loss").changes_by(frac=0.5), [1, 1.4, 2.8, 9], 2.8),
        (w.RunEvent.metric("loss").zscore(3) > 2, [1, 2, 1, 9, 1], 9),
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
