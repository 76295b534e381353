"""Pruning: each rule by itself and together, what is refused, and bytes that are exactly those that gc frees."""

import datetime
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.domain import retention
from artstore.domain.properties import NEVER, Properties
from artstore.domain.retention import Policy
from artstore.errors import ArtstoreError, Conflict, InvalidValue, NotFound
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.together import begun, content, ended

DAY = 86400


def repository() -> Repository:
    return opened(str(Path(".artifacts").absolute()))


def history(count: int, name: str = "data", **more: Any) -> None:
    """So many versions, v0 the oldest; `acc` in their metadata falls from one to the next."""
    for number in range(count):
        log(draft(name, f"{name} {number}", metadata={"acc": 1 - number / 10}, **more))


def live(name: str = "data") -> list[int]:
    return [version["number"] for version in repository().refs.read(repository().path_of(name)[0]).live()]


def logs() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(".artifacts/refs").rglob("*.json")}


def prune(*names: str, force: bool = False, dry_run: bool = False, **policy: Any) -> list[str]:
    """What went (or would), as `name:vN`."""
    done = repository().prune(names, Policy(**policy), force=force, dry_run=dry_run)
    return [f"{path.name}:v{verdict.version['number']}" for path, verdict in done.gone]


def at(monkeypatch: pytest.MonkeyPatch, later: float) -> None:
    """The clock that ages are measured by, so many seconds later."""
    now = time.time
    monkeypatch.setattr(retention.time, "time", lambda: now() + later)


# -- each rule -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep", "left"), [(1, [4]), (2, [3, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])])
def test_keep_last_keeps_the_newest(here: Path, keep: int, left: list[int]) -> None:
    history(5)
    prune("data", keep_last=keep)
    assert live() == left


def test_keep_last_counts_live_versions_only(here: Path) -> None:
    history(5)
    repository().delete("data:v3")
    prune("data", keep_last=2)
    assert live() == [2, 4]


def test_without_a_rule_only_what_outlived_its_ttl_goes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(5)
    for number, ttl in enumerate((DAY, 2 * DAY, NEVER, None, DAY)):
        repository().edit(f"data:v{number}", Properties(ttl=ttl))
    assert prune("data") == []
    at(monkeypatch, 1.5 * DAY)
    assert prune("data") == ["data:v0"]
    at(monkeypatch, 10 * DAY)
    assert prune("data") == ["data:v1"]
    assert live() == [2, 3, 4], "the newest stays, whatever its ttl"
    assert prune("data") == []


def test_a_ttl_counts_from_the_moment_of_the_save_and_ends_by_the_real_clock(here: Path) -> None:
    for text in "12":
        made = log(draft(text=text))
        made.ttl = datetime.timedelta(seconds=1)
        made.save()
    time.sleep(1.05)
    made = log(draft(text="3"))
    assert prune() == ["data:v0", "data:v1"]


def test_keep_aliased_keeps_what_an_alias_names_and_the_newest(here: Path) -> None:
    history(4)
    repository().set_aliases("data:v1", ("best",))
    assert prune("data", keep_aliased=True) == ["data:v0", "data:v2"]
    assert live() == [1, 3]


def test_keep_tagged_keeps_what_has_a_tag(here: Path) -> None:
    history(4)
    repository().set_tags("data:v1", ("paper",))
    repository().set_tags("data:v2", ("gone",))
    repository().set_tags("data:v2", (), ("gone",))
    assert prune("data", keep_tagged=True) == ["data:v0", "data:v2"]


def test_keep_linked_keeps_what_is_linked(here: Path) -> None:
    history(4)
    again("data:v1").link("registry-r/data")
    again("data:v2").link("registry-r/data").unlink()
    assert prune("data", keep_linked=True) == ["data:v0", "data:v2"]
    assert live("registry-r/data") == [0]


def test_older_than_keeps_what_is_younger(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(3)
    assert prune("data", older_than=float(DAY)) == []
    at(monkeypatch, 2 * DAY)
    assert prune("data", older_than=3.0 * DAY) == []
    assert prune("data", older_than=float(DAY)) == ["data:v0", "data:v1"]


def test_keep_best_keeps_the_greatest_or_the_least(here: Path) -> None:
    for number, (acc, loss) in enumerate(((0.1, 5), (0.9, 3), (0.5, 1), (0.9, 3), (0.2, 9))):
        log(draft(text=str(number), metadata={"acc": acc, "val": {"loss": loss}}))
    assert prune("data", keep_best=("acc", "val.loss:min"), dry_run=True) == ["data:v0", "data:v1"]
    assert prune("data", keep_best=("val.loss:max",), dry_run=True) == ["data:v0", "data:v1", "data:v2", "data:v3"]
    assert prune("data", keep_best=("val.loss:min",)) == ["data:v0", "data:v1", "data:v3"]


def test_keep_best_looks_only_at_numbers_and_at_keys_with_dots(here: Path) -> None:
    for number, value in enumerate(("9", True, [7], None, -1, {"x": 1}, float("nan"), 0.5, "last")):
        log(draft(text=str(number), metadata={"a.b": {"c": value}} if value is not None else {}))
    assert 7 not in [int(name[6:]) for name in prune("data", keep_best=("a.b.c",))]
    assert live() == [7, 8]
    with pytest.raises(InvalidValue, match="no version of data has a number under 'nothing.here'"):
        prune("data", keep_best=("nothing.here",))
    assert live() == [7, 8]


def test_rules_add_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(8)
    repository().set_aliases("data:v3", ("best",))
    repository().set_tags("data:v2", ("paper",))
    again("data:v1").link("registry-r/data")
    at(monkeypatch, 2 * DAY)
    all_of_them = {
        "keep_last": 2, "keep_aliased": True, "keep_tagged": True, "keep_linked": True, "older_than": float(DAY),
        "keep_best": ("acc",),
    }  # fmt: skip
    assert prune("data", **all_of_them) == ["data:v4", "data:v5"]
    assert live() == [0, 1, 2, 3, 6, 7]


def test_a_ttl_that_is_over_goes_before_age_but_not_before_what_is_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(4)
    for number in (0, 1):
        repository().edit(f"data:v{number}", Properties(ttl=60))
    repository().set_aliases("data:v1", ("best",))
    at(monkeypatch, 3600)
    assert prune("data", older_than=float(DAY), keep_aliased=True) == ["data:v0"]


def test_links_are_never_pruned(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(3)
    for number in range(3):
        again(f"data:v{number}").link("registry-r/data")
    repository().edit("data:v0", Properties(ttl=60))
    at(monkeypatch, DAY)
    assert prune("registry-r/data", keep_last=1, force=True) == []
    assert prune("registry-r/data", force=True) == []
    assert live("registry-r/data") == [0, 1, 2]


def test_all_artifacts_are_pruned_when_none_is_named(here: Path) -> None:
    history(3, "a")
    history(3, "b")
    history(1, "c")
    with wandb.init(entity="other", project="p") as run:
        for text in "12":
            run.log_artifact(draft("d", text))
    assert sorted(prune(keep_last=1)) == ["a:v0", "a:v1", "b:v0", "b:v1", "d:v0"]
    assert (live("a"), live("b"), live("c"), live("other/p/d")) == ([2], [2], [0], [1])


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", ["an alias", "a link"])
def test_where_an_alias_or_link_holds_one_nothing_is_deleted_anywhere(here: Path, holder: str) -> None:
    history(3, "a")
    history(3, "z")
    if holder == "an alias":
        repository().set_aliases("z:v1", ("prod",))
    else:
        again("z:v1").link("registry-r/z")
    before = logs()
    with pytest.raises(Conflict) as error:
        prune(keep_last=1)
    assert str(repository().prune([], Policy(keep_last=1), dry_run=True).refused) == str(error.value)
    assert "z:v1" in str(error.value) and ("prod" if holder == "an alias" else "registry-r/z:v0") in str(error.value)
    assert logs() == before
    assert prune(keep_last=1, force=True) == ["a:v0", "a:v1", "z:v0", "z:v1"]
    assert live("a") == live("z") == [2]
    if holder == "a link":
        repository().gc(now=True)
        assert content(again("registry-r/z")) == {"f": b"z 1"}
    else:
        with pytest.raises(NotFound):
            again("z:prod")


def test_an_alias_that_the_rules_keep_is_no_reason_to_refuse(here: Path) -> None:
    history(3)
    repository().set_aliases("data:v1", ("prod",))
    assert prune("data", keep_last=2) == ["data:v0"]


def test_a_name_that_is_not_there_or_names_a_version_deletes_nothing(here: Path) -> None:
    history(3)
    with pytest.raises(NotFound):
        prune("data", "nothing", keep_last=1)
    with pytest.raises(InvalidValue):
        prune("data:v0", keep_last=1)
    with pytest.raises(InvalidValue):
        prune("data", keep_last=0)
    assert live() == [0, 1, 2]


@pytest.mark.parametrize(
    "args",
    [
        ("--keep", "last:0"),
        ("--keep", "last:x"),
        ("--keep", "younger:soon"),
        ("--keep", "younger:-3d"),
        ("--keep", "best:k"),
    ],
)
def test_a_command_with_a_wrong_value_says_so_in_a_sentence_and_deletes_nothing(
    here: Path, cli: Cli, args: tuple[str, ...]
) -> None:
    history(2)
    done = cli("prune", *args, cwd=here)
    assert done.code != 0 and "rror" in done.err
    assert live() == [0, 1]


# -- bytes -----------------------------------------------------------------------------------------------------------


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


LARGE = 1_500_000


def _shared_large(number: int) -> dict[str, Any]:
    return {"shared": noise(LARGE, 0), "own": noise(LARGE, 1 + number), "every second": noise(LARGE, 100 + number % 2)}


def _shared_small(number: int) -> dict[str, Any]:
    return {f"{n}": noise(500, n if n % 3 else n + 1000 * number) for n in range(90)}


def _one_pack_each(number: int) -> dict[str, Any]:
    return {f"{n}": noise(700, n + 1000 * number) for n in range(30)}


def _growing(number: int) -> dict[str, Any]:
    return {f"{n}": noise(900, n) for n in range(20 * (number + 1))}


def _shrinking(number: int) -> dict[str, Any]:
    return {f"d{n % 3}/{n}": noise(900, n) for n in range(20 * (6 - number))}


def _mixed(number: int) -> dict[str, Any]:
    return {"large": noise(LARGE, number // 2), "none": b""} | _shared_small(number)


MAKERS = [
    (_shared_large, True), (_shared_small, False), (_shared_small, True), (_one_pack_each, False), (_growing, True),
    (_shrinking, False), (_mixed, True),
]  # fmt: skip


def stored(here: Path) -> int:
    """Bytes of all packs and blobs, in the trash too."""
    found = (path for top in ("objects", "trash") for path in (here / ".artifacts" / top).rglob("*"))
    return sum(path.stat().st_size for path in found if path.is_file())


def unchanged(here: Path) -> dict[str, Any]:
    return {path: found for path, found in snapshot(here / ".artifacts").items() if not path.startswith("cache")}


def exactly(here: Path, *, force: bool = False, keep_last: int = 1) -> int:
    """A dry run changes nothing; it and the prune say what gc frees then beyond what it would have freed before: that."""
    before = unchanged(here)
    with Repository(str(here / ".artifacts")) as repo:
        dry = repo.prune(["data"], Policy(keep_last), force=force, dry_run=True)
        anyway = repo.gc(now=True, dry_run=True).freed_bytes
    assert unchanged(here) == before
    with Repository(str(here / ".artifacts")) as repo:
        done = repo.prune(["data"], Policy(keep_last), force=force)
    assert [v.version["number"] for _, v in dry.gone] == [v.version["number"] for _, v in done.gone] != []
    with Repository(str(here / ".artifacts")) as repo:
        size = stored(here)
        freed = repo.gc(now=True).freed_bytes
        assert size - stored(here) == freed
        assert dry.freed_bytes == done.freed_bytes == freed - anyway
        assert repo.gc(now=True).freed_bytes == 0
    return freed


@pytest.mark.parametrize(
    ("maker", "rubbish"), MAKERS, ids=[maker.__name__.strip("_") + " beside rubbish" * more for maker, more in MAKERS]
)
def test_the_bytes_of_a_prune_are_exactly_those_that_gc_frees(
    here: Path, maker: Callable[[int], dict[str, Any]], rubbish: bool
) -> None:
    with Repository.init(str(here / ".artifacts")) as repo:
        for number in range(5):
            repo.put(str(make_tree(here / f"in{number}", maker(number))), "data")
            if rubbish and number % 2:
                repo.put(str(make_tree(here / f"x{number}", maker(number + 50))), f"x{number}")
        for number in (1, 3) if rubbish else ():
            repo.delete_collection(f"x{number}")
    exactly(here, keep_last=2)


def test_the_bytes_are_exact_after_a_merge_of_packs_that_are_half_dead_then(here: Path) -> None:
    from artstore.operations.upkeep.merge import merge

    with Repository.init(str(here / ".artifacts")) as repo:
        for number in range(20):
            repo.put(str(make_tree(here / f"in{number}", _one_pack_each(number))), "data")
        merge(repo.objects)
    exactly(here, keep_last=12)
    assert exactly(here, keep_last=4) > 0


def test_the_bytes_are_exact_with_long_metadata_and_descriptions(here: Path) -> None:
    for number in range(4):
        log(draft(text=f"{number}", metadata={"k": "same" * 3000, "own": f"{number}" * 9000}, description="d" * 9000))
    assert exactly(here) > 0


def test_the_bytes_are_exact_where_links_live_on(here: Path) -> None:
    """What was said of the source after it was linked is the link's then, and stays."""
    for number in range(3):
        log(draft(text=str(number) + "x" * LARGE))
    for number in (0, 1):
        again(f"data:v{number}").link("registry-r/data")
    again("registry-r/data:v1").unlink()
    edited = again("data:v0")
    edited.metadata["long"] = noise(1_000_000, 7).hex()
    edited.save()
    exactly(here, force=True)


def test_the_bytes_are_exact_where_other_artifacts_and_pending_parts_share_content(here: Path) -> None:
    with Repository.init(str(here / ".artifacts")) as repo:
        for number in range(3):
            repo.put(str(make_tree(here / f"in{number}", _shared_large(number))), "data")
        repo.copy("data:v0", "copy")
        with repo.draft() as part:
            part.add_bytes(noise(LARGE, 2), "f")
            part.save_part(repo.path_of("other")[0], "job", writer="one")
    assert exactly(here) > 0


def test_the_command_tells_the_bytes_that_gc_frees_then(here: Path, cli: Cli) -> None:
    for number in range(3):
        log(draft(text=str(number) + "x" * LARGE))

    def told(*args: str) -> Any:
        return json.loads(cli(*args, "--json", cwd=here).out)

    before = unchanged(here)
    dry = told("prune", "data", "--keep", "last:1", "--dry-run")
    assert unchanged(here) == before
    done = told("prune", "data", "--keep", "last:1")
    assert dry == done | {"dry_run": True}
    assert told("gc", "--now")["freed_bytes"] == done["freed_bytes"] > 2 * LARGE


def test_a_dry_run_that_deletes_nothing_says_so(here: Path, cli: Cli) -> None:
    history(2)
    done = cli("prune", "--dry-run", cwd=here)
    assert (done.code, done.out) == (0, "would delete 0 of 2 versions\n")
    assert (
        cli("prune", "--keep", "last:1", cwd=here).out.splitlines()[-1].startswith("deleted 1 of 2 versions; gc frees")
    )


def test_a_dry_run_shows_the_whole_plan_and_what_stands_in_its_way(here: Path, cli: Cli) -> None:
    history(3)
    repository().set_aliases("data:v0", ("prod",))
    done = cli("prune", "--keep", "last:1", "--dry-run", cwd=here)
    lines = done.out.splitlines()
    assert done.code == 0 and [line.split()[:2] for line in lines[1:4]] == [
        ["data:v0", "delete"], ["data:v1", "delete"], ["data:v2", "keep"],
    ]  # fmt: skip
    assert lines[1].endswith("not kept, and has the alias prod") and lines[4].endswith("after the grace period")
    assert done.err == "that would be refused without --force: data:v0 would be deleted, and has the alias 'prod'\n"
    assert "prod" in json.loads(cli("prune", "--keep", "last:1", "-n", "--json", cwd=here).out)["refused"]


def test_the_verdicts_say_why_as_json(here: Path, cli: Cli) -> None:
    history(4)
    repository().set_aliases("data:v0", ("best",))
    repository().set_tags("data:v1", ("paper",))
    done = json.loads(cli("prune", "data", "--keep", "aliased, tagged", "--json", cwd=here).out)
    assert [(v["spec"], v["goes"], v["why"]) for v in done["versions"]] == [
        ("local/uncategorized/data:v0", False, "alias best"),
        ("local/uncategorized/data:v1", False, "tag paper"),
        ("local/uncategorized/data:v2", True, "not kept"),
        ("local/uncategorized/data:v3", False, "the newest"),
    ]
    refused = cli("prune", "data", "--keep", "last:1", "--json", cwd=here)
    assert refused.code != 0 and "best" in json.loads(refused.err or refused.out)["error"]["message"]


# -- what went -------------------------------------------------------------------------------------------------------


def test_what_was_pruned_can_be_undeleted_until_gc_and_its_number_is_never_used_again(here: Path) -> None:
    history(3)
    prune("data", keep_last=1)
    repository().undelete("data:v0")
    assert content(again("data:v0")) == {"f": b"data 0"}
    prune("data", keep_last=1)
    repository().gc(now=True)
    with pytest.raises(ArtstoreError):
        repository().undelete("data:v0")
    assert log(draft(text="new")).version == "v3"


# -- at one moment ---------------------------------------------------------------------------------------------------


def test_an_alias_set_while_pruning_is_kept_or_was_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alias comes after the first look, before the deletion is written."""
    history(3)
    real, calls = retention.judge, []

    def judge(*args: Any, **more: Any) -> Any:
        verdicts = real(*args, **more)
        calls.append(1)
        if len(calls) == 1:
            with Repository(str(here / ".artifacts")) as other:
                other.set_aliases("data:v0", ("late",))
        return verdicts

    monkeypatch.setattr("artstore.operations.changing.changes.judge", judge)
    with pytest.raises(Conflict, match="late"):
        prune("data", keep_last=1)
    assert live() == [0, 1, 2]
    assert prune("data", keep_last=1, keep_aliased=True) == ["data:v1"]
    assert content(again("data:late")) == {"f": b"data 0"}


@pytest.mark.parametrize("look", [1, 2, 3])
def test_a_link_made_while_pruning_works_or_the_prune_was_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    """Made and then edited by its source, after the pruner's first, second or third look at the artifact."""
    history(3)
    real, calls = retention.judge, []

    def judge(*args: Any, **more: Any) -> Any:
        verdicts = real(*args, **more)
        calls.append(1)
        if len(calls) == look:
            with Repository(str(here / ".artifacts")) as other:
                other.link(other.find("data:v0"), "registry-r/late")
                other.edit("data:v0", Properties(metadata={"later": "x" * 9000}))
        return verdicts

    monkeypatch.setattr("artstore.operations.changing.changes.judge", judge)
    try:
        prune("data", keep_last=1)
    except Conflict:
        assert live() == [0, 1, 2]
    repository().gc(now=True)
    assert content(again("registry-r/late")) == {"f": b"data 0"}
    assert again("registry-r/late").metadata["later"] == "x" * 9000


def _save(root: str, seconds: float) -> None:
    with Repository(root) as one:
        until, turn = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            with one.draft() as made:
                made.add_bytes(b"%d" % turn * 100, "f")
                saved = made.save(
                    one.path_of("data")[0], properties=Properties((f"kept-{turn}",) if turn % 3 == 0 else ())
                )
            if turn % 3 == 0:
                one.find(f"data:kept-{turn}")
                assert one.collection("data").versions[saved.id].get("deleted") is None
            turn += 1


def _prune(root: str, seconds: float) -> None:
    with Repository(root) as one:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            one.prune(["data"], Policy(keep_last=2, keep_aliased=True))
            one.gc(now=True)


def test_versions_with_aliases_survive_pruners_and_collectors_beside_savers(here: Path) -> None:
    history(2)
    root = str(here / ".artifacts")
    assert ended(begun((_save, root, 2.0), (_prune, root, 2.0), (_prune, root, 2.0))) == [0, 0, 0]
    with Repository(root) as one:
        state = one.collection("data")
        assert sorted(state.aliases) == sorted(f"kept-{n}" for n in range(0, 3 * len(state.aliases), 3))
        assert len(state.aliases) > 1
        for alias in state.aliases:
            found = one.find(f"data:{alias}")
            number = int(alias[5:])
            assert b"".join(one.content(one.entry(found, "f"))) == b"%d" % number * 100


def test_a_version_that_is_to_stay_for_ever_stays_whatever_the_policy(here: Path) -> None:
    history(3)
    with_ttl = wandb.Api().artifact("data:v0")
    with_ttl.ttl = None
    with_ttl.save()
    assert prune("data", keep_last=1) == ["data:v1"]
    assert live() == [0, 2]


def test_the_command_says_why_nothing_is_deleted(here: Path, cli: Cli) -> None:
    history(3)
    told = cli("prune", "data", cwd=here)
    assert (told.out, told.err) == (
        "deleted 0 of 3 versions\n", "hint: without --keep, only versions whose ttl has expired are deleted\n"
    )  # fmt: skip
    kept = cli("prune", "data", "--keep", "last:2,younger:1d", cwd=here)
    assert kept.err == "kept: young (1), one of the newest 2 (1), the newest (1)\n"


def test_a_rule_that_an_artifact_cant_follow_is_an_error_that_names_it(here: Path, cli: Cli) -> None:
    history(2)
    log(draft("other", "text"))
    told = cli("prune", "--keep", "best:acc", cwd=here)
    assert (told.code, told.err) == (3, "error: no version of other has a number under 'acc' in its metadata\n"), told
    assert live() == [0, 1]
