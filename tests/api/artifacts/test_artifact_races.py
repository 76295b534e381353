"""Artifacts and runs in many threads and processes at once, some of which are killed."""

import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.api.handles import opened
from artstore.errors import ArtifactFinalizedError
from tests.support.folders import make_tree, snapshot
from tests.support.together import (
    LARGE,
    MIB,
    SMALL,
    begun,
    content,
    descriptors,
    ended,
    in_threads,
    logged,
    read,
    transactions,
)

# -- downloads into one root ---------------------------------------------------------------------------


@pytest.mark.diagonal("there", "files")
@pytest.mark.parametrize("there", ["nothing", "an empty folder", "partly wrong files"])
@pytest.mark.parametrize("files", [SMALL, LARGE], ids=["small", "large"])
def test_downloads_into_one_root_make_it_whole_though_some_are_killed(
    here: Path, files: dict[str, Any], there: str
) -> None:
    artifact = logged(files)
    wanted = snapshot(here / "source/data")
    start = time.perf_counter()
    artifact.download("measured")
    usual = time.perf_counter() - start
    for turn in range(3):
        root = here / f"out {turn}"
        mine: dict[str, Any] = {}
        if there != "nothing":
            root.mkdir()
        if there == "partly wrong files":
            mine = {"mine": "mine", next(iter(files)) + " too": "mine"}
            make_tree(root, mine | dict(list(files.items())[::2]) | dict.fromkeys(list(files)[1::3], "wrong"))
        processes = begun(*[(artifact.download, str(root))] * 8)
        for victim in processes[:3]:
            time.sleep(random.random() * 2 * usual)
            victim.kill()
        assert ended(processes)[3:] == [0] * 5
        now = snapshot(root)
        assert {path: now.get(path) for path in wanted} == wanted
        artifact.download(str(root))
        assert snapshot(root) == wanted | {path: now[path] for path in mine}
    assert sorted(os.listdir(here)) == [".artifacts", "measured", "out 0", "out 1", "out 2", "source"]


def test_threads_that_download_into_one_new_root_leave_nothing_beside_it_nor_open(here: Path) -> None:
    artifact = logged(SMALL)
    artifact.download("warm")
    before = descriptors()
    for turn in range(4):
        assert set(in_threads(*[(artifact.download, f"out{turn}")] * 8)) == {f"out{turn}"}
        assert snapshot(here / f"out{turn}") == snapshot(here / "source/data")
    assert transactions() == []
    assert sorted(os.listdir(here)) == [".artifacts", "out0", "out1", "out2", "out3", "source", "warm"]
    assert descriptors() <= before


# -- threads and one draft -----------------------------------------------------------------------------


def _add(artifact: artstore.Artifact, kind: int, name: str, text: str) -> str:
    """Add one file in one of three ways; its path."""
    source = Path(tempfile.mkdtemp(dir="."))
    if kind == 0:
        make_tree(source, {"file": text})
        artifact.add_file(source / "file", name)
    elif kind == 1:
        with artifact.new_file(name) as file:
            file.write(text)
    else:
        folder, _, base = name.rpartition("/")
        artifact.add_dir(make_tree(source, {base: text}), folder)
    return name


def test_what_sixteen_threads_add_to_one_draft_is_all_there(here: Path) -> None:
    artifact = artstore.Artifact("data")

    def work(who: int) -> None:
        for turn in range(9):
            _add(artifact, turn % 3, f"{who % 4}/{who}/{turn}", f"{who} {turn}" + "." * (MIB if turn == who % 9 else 0))

    assert in_threads(*[(work, who) for who in range(16)]) == [None] * 16
    artifact.save()
    found = {path: text.rstrip(b".").decode() for path, text in content(artifact).items()}
    assert found == {f"{who % 4}/{who}/{turn}": f"{who} {turn}" for who in range(16) for turn in range(9)}


@pytest.mark.parametrize("paths", [["a/b"], ["a", "a/b"]], ids=["one path", "a file where others want a folder"])
def test_of_threads_that_add_conflicting_paths_exactly_the_losers_are_told(here: Path, paths: list[str]) -> None:
    for _ in range(6):
        artifact = artstore.Artifact("data")
        results = in_threads(*[(_add, artifact, n % 3, paths[n % len(paths)], f"{n}") for n in range(14)])
        assert all(isinstance(result, (str, ValueError)) for result in results), results
        artifact.save()
        won = {(path, str(number)) for number, path in enumerate(results) if isinstance(path, str)}
        assert {(path, text.decode()) for path, text in content(artifact).items()} == won


def test_what_is_added_while_another_thread_logs_is_in_the_version_or_refused(here: Path) -> None:
    for turn in range(8):
        artifact = artstore.Artifact("data")
        _add(artifact, 1, "first", f"{turn}")
        added = {"first"}

        def work(artifact: artstore.Artifact, added: set[str], turn: int, who: int) -> None:
            for number in range(10_000):
                try:
                    added.add(_add(artifact, (who + number) % 3, f"{who}/{number}", f"{turn} {who} {number}"))
                except ArtifactFinalizedError:
                    return

        def log(artifact: artstore.Artifact) -> None:
            time.sleep(random.random() / 20)
            artifact.save()

        assert in_threads((log, artifact), *[(work, artifact, added, turn, who) for who in range(4)]) == [None] * 5
        assert set(artifact.manifest.entries) == added
        assert transactions() == [], "whoever was refused left a transaction open"


def test_a_draft_that_is_looked_at_while_it_is_logged_always_shows_what_it_holds(here: Path) -> None:
    for turn in range(12):
        artifact = artstore.Artifact("data")
        _add(artifact, 1, "file", f"{turn:9}")
        digest = artifact.digest

        def look(artifact: artstore.Artifact) -> set[Any]:
            seen: set[Any] = set()
            while artifact.is_draft():
                seen.add((artifact.get_entry("file").size, artifact.size, len(artifact.manifest), artifact.digest))
            return seen

        _, *seen = in_threads((artifact.save,), *[(look, artifact)] * 3)
        assert [error for error in seen if isinstance(error, Exception)] == []
        assert set[Any]().union(*seen) <= {(9, 9, 1, digest)}
        assert transactions() == []


def test_a_draft_of_many_files_and_folders_holds_few_descriptors(here: Path) -> None:
    artifact = artstore.Artifact("data")
    before = descriptors()
    for number in range(40):
        with Path("large").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(MIB)
        artifact.add_file("large", f"files/{number}")
        artifact.add_dir(make_tree(here / "folder", {f"{number}": f"{number}"}), f"folders/{number}")
        with artifact.new_file(f"new/{number}", "wb") as new:
            new.write(b"%d" % number * MIB)
    assert descriptors() - before < 20
    artifact.save()
    assert len(artifact.manifest) == 40 + sum(range(41)) + 40
    assert descriptors() - before < 20


# -- edits, runs and collections that many share ------------------------------------------------------------


def test_what_two_processes_say_of_one_version_is_all_kept(here: Path) -> None:
    logged({"a": "a"})

    def edit(who: str) -> None:
        artifact = artstore.Api().artifact("data:v0")
        for turn in range(25):
            artifact.metadata[f"{who}{turn}"] = {"turn": turn, "text": who * (20_000 if turn == 7 else 1)}
            artifact.aliases.append(f"{who}{turn}")
            artifact.tags.append(f"{who}{turn}")
            artifact.description = f"{who} {turn}"
            artifact.save()

    assert ended(begun((edit, "x"), (edit, "y"))) == [0, 0]
    artifact = artstore.Api().artifact("data:v0")
    names = {f"{who}{turn}" for who in "xy" for turn in range(25)}
    assert set(artifact.metadata) == set(artifact.tags) == set(artifact.aliases) - {"latest"} == names
    assert all(
        value["turn"] == int(name[1:]) and set(value["text"]) == {name[0]} for name, value in artifact.metadata.items()
    )
    assert artifact.description in ("x 24", "y 24")


def test_threads_and_processes_that_log_through_one_run_are_all_in_it(here: Path) -> None:
    logged({"input": "input"}, "input")

    def log(run: artstore.Run, who: int, thread: int) -> None:
        run.use_artifact("input:latest")
        for turn in range(3):
            artifact = artstore.Artifact("data")
            with artifact.new_file("file") as file:
                file.write(f"{who} {thread} {turn}")
            run.log_artifact(artifact, aliases=[f"a{who}{thread}{turn}"])

    def work(who: int) -> None:
        with artstore.init(id="shared") as run:
            assert in_threads(*[(log, run, who, thread) for thread in range(3)]) == [None] * 3

    assert ended(begun(*[(work, who) for who in range(4)])) == [0] * 4
    versions = artstore.Api().artifact_collection("artifact", "data").artifacts()
    assert [version.version for version in versions] == [f"v{n}" for n in range(35, -1, -1)]
    texts = {content(version)["file"].decode(): version for version in versions}
    assert set(texts) == {f"{w} {t} {n}" for w in range(4) for t in range(3) for n in range(3)}
    assert all("a" + text.replace(" ", "") in version.aliases for text, version in texts.items())
    run = artstore.Api().run("shared")
    assert {version.id for version in run.logged_artifacts()} == {version.id for version in versions}
    assert [used.name for used in run.used_artifacts()] == ["input:v0"]


def test_values_that_threads_and_processes_give_one_run_are_all_kept(here: Path) -> None:
    def work(who: int) -> None:
        with artstore.init(id="shared") as run:

            def give(thread: int) -> None:
                for turn in range(5):
                    run.config[f"{who} {thread} {turn}"] = turn
                    run.log({f"{who} {thread} {turn}": turn})

            assert in_threads(*[(give, thread) for thread in range(3)]) == [None] * 3

    assert ended(begun(*[(work, who) for who in range(3)])) == [0] * 3
    run = artstore.Api().run("shared")
    assert run.config == {f"{w} {t} {n}": n for w in range(3) for t in range(3) for n in range(5)}
    assert run.summary == run.config


# -- one artifact, many threads -----------------------------------------------------------------------------------


def test_one_artifact_serves_many_threads_while_its_collection_moves(here: Path) -> None:
    artifact = logged(SMALL | LARGE)
    expected = content(artifact)
    before = descriptors()

    def move() -> None:
        for turn in range(20):
            logged({"file": f"{turn}"})
            opened(os.path.abspath(".artifacts")).set_aliases("data:v0", (f"a{turn}",))

    def work(who: int) -> None:
        for path in random.sample(sorted(expected), 20):
            assert read(artifact.get_entry(path)) == expected[path]
            assert Path(artifact.get_entry(path).download(f"one {who}")).read_bytes() == expected[path]
            assert (artifact.name, artifact.file_count) == ("data:v0", len(expected))
        assert Path(artifact.download("all")).name == "all"
        assert content(artifact) == expected

    mover = begun((move,))
    assert in_threads(*[(work, who) for who in range(12)]) == [None] * 12
    assert ended(mover) == [0]
    assert {path: (here / "all" / path).read_bytes() for path in expected} == expected
    assert descriptors() <= before
