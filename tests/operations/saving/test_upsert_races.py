"""Parts of one version that many processes add and finish at one moment, some of which are killed."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import InvalidValue, NotFound
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log, paths
from tests.support.commands import environment
from tests.support.folders import make_tree
from tests.support.marks import mostly_long
from tests.support.reader import Reader
from tests.support.together import content, in_threads, script
from tests.support.upserts import ID, finished, part, pending, versions

_CALLS, _FILES = 5, 200
_WORK = f"""
number = int(sys.argv[1])
run = artstore.init(group="{ID}", id=f"worker-{{number}}-{{os.getpid()}}")
for call in range({_CALLS}):
    artifact = artstore.Artifact("data")
    for file in range({_FILES}):
        with artifact.new_file(f"{{number}}/{{call}}/{{file}}") as out:
            out.write(f"{{number}} {{call}} {{file}}")
    with artifact.new_file("shared") as out:
        out.write("the same of all")
    run.upsert_artifact(artifact)
    print(call, flush=True)
run.finish()
"""
_HEAD = "import os, signal, sys, threading, time\nimport artstore\n"


def _started(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + code, *arguments],
        env=environment(Path.home()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    """Those in it are ended with the test."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_sixteen_processes_of_which_two_are_killed_and_run_again_make_one_version_of_all_files(
    here: Path, processes: list["subprocess.Popen[str]"]
) -> None:
    log(draft("other"))
    processes += [_started(_WORK, str(number)) for number in range(16)]
    chance = random.Random()
    for victim in (3, 11):
        for _ in range(chance.randrange(4)):
            processes[victim].stdout.readline()  # so many calls were acknowledged
        time.sleep(chance.random() * 0.3)
        processes[victim].kill()
        processes[victim].wait()
        processes.append(_started(_WORK, str(victim)))
    collector = Repository(str(here / ".artifacts"))
    while any(process.poll() is None for process in processes):
        collector.gc(now=True)
        time.sleep(0.5)
    collector.close()
    for number, process in enumerate(processes):
        assert process.returncode == 0 or number in (3, 11), process.stderr.read()
    made = finished({"last": "1"})
    assert versions() == ["data:v0"] and pending() == {}
    wanted = {
        f"{number}/{call}/{file}": f"{number} {call} {file}".encode()
        for number in range(16)
        for call in range(_CALLS)
        for file in range(_FILES)
    }
    assert len(wanted) == 16_000
    wanted |= {"shared": b"the same of all", "last": b"1"}
    assert made.file_count == len(wanted)
    out = Path(again("data").download("out"))
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == wanted
    state = Reader(here / ".artifacts").state("local", "uncategorized", "data")
    assert len(list(Reader(here / ".artifacts").files(state["versions"][0]["id"]))) == len(wanted)


_FINISH = f"""
artifact = artstore.Artifact("data")
with artifact.new_file("last") as out:
    out.write("1")
run = artstore.init(group="{ID}")
print("begins", flush=True)
print(run.finish_artifact(artifact, aliases=["best"]).name, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("turns", mostly_long([2, 5], 2))
def test_a_finish_that_is_killed_and_run_again_makes_exactly_one_version(
    here: Path, processes: list["subprocess.Popen[str]"], turns: int
) -> None:
    chance = random.Random()
    for turn in range(turns):
        for number in range(4):
            part({f"{turn}/{number}/{file}": f"{turn} {number} {file}" for file in range(40)})
        for _ in range(3):
            process = _started(_FINISH)
            processes.append(process)
            process.stdout.readline()
            time.sleep(chance.random() * 0.05)
            process.kill()
            process.wait()
        assert script(_FINISH).split() == ["begins", f"data:v{turn}"]
        assert versions()[0] == f"data:v{turn}" and len(versions()) == turn + 1
        files = {
            f"{turn}/{number}/{file}": b"%d %d %d" % (turn, number, file) for number in range(4) for file in range(40)
        }
        assert content(again("data:best")) == files | {"last": b"1"}
        assert pending() == {}


def test_finishes_at_one_moment_make_one_version(here: Path) -> None:
    for turn in range(4):
        part({f"{turn}": f"{turn}"})
        root = str(here / ".artifacts")

        def finish(root: str) -> int:
            with Repository(root) as one:
                return one.finish("data", ID).number

        assert in_threads(*[(finish, root)] * 6) == [turn] * 6
        assert len(versions()) == turn + 1


def test_parts_added_while_others_finish_are_in_a_version_or_pending(here: Path) -> None:
    part({"first": "1"})
    root = str(here / ".artifacts")

    def add(number: int) -> None:
        with Repository(root) as one, one.draft() as made:
            made.add_bytes(b"%d" % number, f"{number}")
            made.save_part(one.path_of("data")[0], ID, writer=f"run {number}")

    def finish(_: int) -> None:
        with Repository(root) as one:
            try:
                one.finish("data", ID)
            except (NotFound, InvalidValue) as error:
                raise AssertionError("a finish after the first one finds what was finished") from error

    calls = [call for number in range(6) for call in ((add, number), (finish, number))]
    assert in_threads(*calls) == [None] * len(calls)
    if pending():
        finished()
    found: set[str] = set()
    for one in wandb.Api().artifacts(name="data"):
        assert not found & set(paths(one)), "a part is in one version only"
        found |= set(paths(one))
    assert found == {"first", *map(str, range(6))}


def test_incremental_saves_of_folders_at_one_moment_are_all_in_the_latest_version(here: Path) -> None:
    """They too are put together again after a lost race."""
    log(draft("data", "0"))
    root = str(here / ".artifacts")

    def add(number: int) -> None:
        source = make_tree(here / f"in{number}", {f"d/{number}/f": f"{number}", f"own{number}": "x"})
        with Repository(root) as one, one.draft() as made:
            made.add_folder(str(source))
            made.save(one.path_of("data")[0], incremental=True)

    assert in_threads(*[(add, number) for number in range(6)]) == [None] * 6
    wanted = {f"d/{number}/f": b"%d" % number for number in range(6)} | {f"own{number}": b"x" for number in range(6)}
    assert content(again("data")) == wanted | {"f": b"0"}
    assert len(versions()) == 7
