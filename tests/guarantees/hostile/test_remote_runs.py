"""Runs that are damaged, forged or gone: at a remote, here, and in a bundle. The others come through."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.domain.changes import new_change
from artstore.domain.codec import encode_json
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import QUIET, Cli
from tests.support.forge import Forger, file, sealed
from tests.support.hostile_remotes import Two, writable


class RunForger(Forger):
    """Writes runs' logs."""

    def folder(self, name: str) -> Path:
        return self.root / "runs/local/uncategorized" / name


def start(id: str, **more: Any) -> dict[str, Any]:
    fields = {"job_type": None, "group": None, "owner": "", "command": [], "git": None, "run": id}
    return new_change("start", entity="local", project="uncategorized", **{**fields, **more})


def ended() -> dict[str, Any]:
    return new_change("finish", state="finished", code=0)


def runs_of(root: Path | str) -> set[str]:
    with Repository(str(root)) as repository:
        return {state.path.id for state in repository.runs.all(damaged=[])}


@pytest.fixture
def runs(two: Two, monkeypatch: pytest.MonkeyPatch) -> Two:
    """`author` has pushed three runs, of which the log of the second has three entries."""
    for name, value in {**QUIET, "ARTSTORE_DIR": two.author}.items():
        monkeypatch.setenv(name, value)
    for id in ("a", "b", "c"):
        with artstore.init(id=id, config={"lr": 1}) as run:
            run.log({"loss": 1})
            run.summary["more"] = id
    with Repository(two.author) as repository:
        assert repository.push().runs == 3
    for root in (two.author, two.remote):
        while len(second(root)) < 3:
            RunForger(Path(root)).entry("b", new_change("config", set={"more": 1}, remove=[]))
    monkeypatch.delenv("ARTSTORE_DIR")
    return two


def second(root: Path | str) -> list[Path]:
    return sorted(Path(root, "runs/local/uncategorized/b").glob("*.json"))


def torn(root: Path | str) -> None:
    entry = writable(second(root)[0])
    entry.write_bytes(entry.read_bytes()[:-20])


def gap(root: Path | str) -> None:
    second(root)[1].unlink()


def rewritten(root: Path | str) -> None:
    entry = writable(second(root)[1])
    entry.write_bytes(entry.read_bytes().replace(b'"more":1', b'"more":2'))


def fifo(root: Path | str) -> None:
    entry = second(root)[1]
    entry.unlink()
    os.mkfifo(entry)


def contradiction(root: Path | str) -> None:
    """Its chain is right, and its last change isn't one."""
    RunForger(Path(root)).entry("b", new_change("config", set=[], remove=[]))


def from_the_future(root: Path | str) -> None:
    RunForger(Path(root)).entry("b", new_change("dream", of="sheep"))


def of_another_run(root: Path | str) -> None:
    RunForger(Path(root)).entry("b", start("a"))


DAMAGES: list[Callable[[Path | str], None]] = [
    torn, gap, rewritten, fifo, contradiction, from_the_future, of_another_run,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_run_of_a_remote_is_named_and_the_others_are_pulled(cli: Cli, runs: Two, damage: Any) -> None:
    damage(runs.remote)
    done = cli("pull", ARTSTORE_DIR=str(runs.reader))
    assert done.code in (7, 9, 10), done
    assert "run local/uncategorized/b" in done.err or "runs/local/uncategorized/b" in done.err, done
    assert "and 2 runs" in done.out and "good: pulled v0" in done.out, done
    assert runs_of(runs.reader) == {"a", "c"}
    check(Path(runs.reader))
    again = cli("pull", "--json", ARTSTORE_DIR=str(runs.reader))
    assert (again.code, json.loads(again.out)["runs"]) == (done.code, 0), again
    assert [run["run"] for run in json.loads(again.out)["refused_runs"]] == ["local/uncategorized/b"]


@pytest.mark.parametrize("damage", [torn, from_the_future], ids=lambda damage: damage.__name__)
def test_a_damaged_run_of_a_remote_stops_no_clone_no_list_and_no_check(cli: Cli, runs: Two, damage: Any) -> None:
    damage(runs.remote)
    clone = cli("clone", str(runs.remote), str(runs.tmp_path / "clone"), ARTSTORE_DIR=str(runs.tmp_path / "x"))
    assert clone.code in (7, 10) and "and 2 runs" in clone.out, clone
    assert runs_of(runs.tmp_path / "clone/.artifacts") == {"a", "c"}
    listed = cli("runs", "ls", "--from", "origin", ARTSTORE_DIR=str(runs.reader))
    assert listed.code == 7 and {line.split()[0] for line in listed.out.splitlines()[1:]} == {"a", "c"}, listed
    where = cli("runs", "ls", "--from", "origin", "--where", "config.lr == 1", ARTSTORE_DIR=str(runs.reader))
    assert where.code == 7 and {line.split()[0] for line in where.out.splitlines()[1:]} == {"a", "c"}, where
    fsck = cli("fsck", "origin", ARTSTORE_DIR=str(runs.reader))
    assert fsck.code == 7 and "problem: " in fsck.out and "uncategorized/b" in fsck.out, fsck


@pytest.mark.parametrize("damage", [torn, contradiction], ids=lambda damage: damage.__name__)
def test_a_damaged_run_here_is_named_and_the_others_are_pushed_and_bundled(cli: Cli, runs: Two, damage: Any) -> None:
    other, bundle = runs.tmp_path / "other", runs.tmp_path / "bundle"
    damage(runs.author)
    assert cli("remote", "add", "--init", "other", str(other), ARTSTORE_DIR=str(runs.author)).code == 0
    pushed = cli("push", "other", ARTSTORE_DIR=str(runs.author))
    assert pushed.code == 7 and "and 2 runs" in pushed.out and "uncategorized/b" in pushed.err, pushed
    assert runs_of(other) == {"a", "c"}
    check(other)
    made = cli("bundle", "create", str(bundle), ARTSTORE_DIR=str(runs.author))
    assert made.code == 7 and "uncategorized/b" in made.err, made
    assert cli("bundle", "apply", str(bundle), ARTSTORE_DIR=str(runs.tmp_path / "third")).code == 0
    assert runs_of(runs.tmp_path / "third") == {"a", "c"}


def test_a_bundle_with_a_damaged_run_brings_the_others(cli: Cli, runs: Two) -> None:
    bundle, forged = runs.tmp_path / "bundle", runs.tmp_path / "forged"
    assert cli("bundle", "create", str(bundle), ARTSTORE_DIR=runs.author).code == 0
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(forged, "w", zipfile.ZIP_STORED) as target:
        for member in source.infolist():
            data = source.read(member)
            target.writestr(member, data[:-20] if member.filename.endswith("/b/00000001.json") else data)
    done = cli("bundle", "apply", str(forged), ARTSTORE_DIR=runs.reader)
    assert done.code == 7 and f"run local/uncategorized/b: {forged} is damaged" in done.err, done
    assert runs_of(runs.reader) == {"a", "c"}


def test_a_run_whose_history_is_lost_is_named_and_the_others_are_pulled(cli: Cli, runs: Two) -> None:
    forger = RunForger(runs.remote)
    lost = {"part": "history.x", "rows": 1, "first": 0, "last": 0, "text": None, "blob": "0" * 64}
    forger.entry("d", start("d"), new_change("history", **lost), ended())
    done = cli("pull", ARTSTORE_DIR=str(runs.reader))
    assert done.code == 7 and "run local/uncategorized/d" in done.err and "and 3 runs" in done.out, done
    assert runs_of(runs.reader) == {"a", "b", "c"}
    check(Path(runs.reader))


def test_changes_of_a_run_that_add_up_to_something_else_here_are_refused(cli: Cli, runs: Two) -> None:
    """A change that has the id of one here is not taken: so what it undid there would come to life here."""
    with Repository(runs.reader) as repository:
        assert repository.pull().refused_runs == ()
    ids = [change["change"] for path in second(runs.reader) for change in json.loads(path.read_bytes())["changes"]]
    lost = {"part": "history.x", "rows": 1, "first": 0, "last": 0, "text": None, "blob": "0" * 64}
    forger = RunForger(runs.remote)
    forger.entry("b", new_change("history", **lost), {"change": ids[0], "kind": "delete"}, start("b"))
    done = cli("pull", ARTSTORE_DIR=str(runs.reader))
    assert done.code == 7 and "run local/uncategorized/b" in done.err, done
    check(Path(runs.reader))


@pytest.mark.parametrize("totals", [(1, 1), (0, 2)], ids=["bytes", "files"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "after a right one"])
def test_totals_of_a_runs_files_are_checked_before_they_are_taken(
    cli: Cli, runs: Two, totals: tuple[int, int], known: bool
) -> None:
    """Also if another run of the same pull, or one that is here, names the same tree with the right totals."""
    forger = RunForger(runs.remote)
    forger.blob(b"")
    tree = {"part": "files.x", "tree": forger.tree(file(b"f")).hex(), "replaces": []}
    if known:
        forger.entry("d", start("d"), new_change("files", **tree, size=0, files=1), ended())
    size, files = totals
    forger.entry("e", start("e"), new_change("files", **tree, size=size, files=files), ended())
    done = cli("pull", ARTSTORE_DIR=str(runs.reader))
    assert done.code == 7 and "run local/uncategorized/e" in done.err and "other totals" in done.err, done
    assert runs_of(runs.reader) == {"a", "b", "c"} | ({"d"} if known else set())
    assert cli("pull", ARTSTORE_DIR=str(runs.reader)).code == 7
    assert runs_of(runs.reader) == {"a", "b", "c"} | ({"d"} if known else set())
    check(Path(runs.reader))


@pytest.mark.parametrize("log", ["runs/local/uncategorized/b", "refs/local/uncategorized/good"])
def test_a_check_of_a_remote_finds_logs_that_are_gone_or_others_since_they_were_seen(
    cli: Cli, runs: Two, log: str
) -> None:
    assert cli("pull", ARTSTORE_DIR=runs.reader).code == 0
    assert cli("fsck", "origin", ARTSTORE_DIR=runs.reader).code == 0
    folder, name = runs.remote / log, f"problem: {log} at remote 'origin' "
    other = Path(shutil.copytree(folder, runs.tmp_path / "copy"))

    def found() -> str:
        done = cli("fsck", "origin", ARTSTORE_DIR=runs.reader)
        assert done.code == (7 if "problem: " in done.out else 0), done
        return done.out

    shutil.rmtree(folder)
    assert f"{name}is not there any more; no other repository has this log" in found()
    shutil.copytree(other, folder)
    assert "no problems found" in found()
    last = max(folder.glob("*.json"))
    value = json.loads(last.read_bytes())
    writable(last).write_bytes(encode_json(sealed({**value, "host": "other"})))
    (folder / "checkpoint").unlink(missing_ok=True)
    assert f"{name}was rewritten" in found()
    if len(list(folder.glob("*.json"))) > 1:
        last.unlink()
        assert f"{name}was rolled back" in found()
