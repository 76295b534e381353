"""Artifacts and runs in children that were forked, and in processes that end as they like."""

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.errors import Conflict
from tests.support.folders import make_tree, snapshot
from tests.support.together import (
    LARGE,
    MIB,
    SMALL,
    begun,
    content,
    ended,
    logged,
    read,
    script,
    transactions,
)

# -- forks -----------------------------------------------------------------------------------------------

_DRAFT = """
def tell(*calls):
    for call in calls:
        try:
            call()
        except ValueError as error:
            assert "forked child" in str(error), error
        else:
            os._exit(9)

def new_file():
    with artifact.new_file("new") as file:
        file.write("new")

def fork_in_mid_draft():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] in (0, 256), "the child could add, or died"
        return
    tell(lambda: artifact.add_file("a"), lambda: artifact.add_dir("folder"), new_file, lambda: artifact.remove("a"),
         lambda: run.log_artifact(artifact))
    if sys.argv[1] == "os._exit":
        os._exit(0)
    if sys.argv[1] == "an exception":
        raise RuntimeError("the child fails")
    sys.exit(0)

os.makedirs("folder", exist_ok=True)
for name, text in (("a", "a"), ("b", "b"), ("folder/large", "L" * (1 << 21)), ("folder/small", "small")):
    with open(name, "w") as file:
        file.write(text)
artifact = artstore.Artifact("data")
"""


@pytest.mark.parametrize("end", ["os._exit", "sys.exit", "an exception"])
def test_a_child_forked_in_mid_draft_can_not_add_and_its_end_destroys_nothing(here: Path, end: str) -> None:
    script(
        _DRAFT
        + """
run = artstore.init(id="parent")
artifact.add_file("a")
artifact.add_dir("folder", "folder")
fork_in_mid_draft()
artifact.add_file("b")
run.log_artifact(artifact)
""",
        end,
    )
    logged = artstore.Api().artifact("data:v0")
    assert {path: len(text) for path, text in content(logged).items()} == {
        "a": 1, "b": 1, "folder/large": 1 << 21, "folder/small": 5,
    }  # fmt: skip
    producer = logged.logged_by()
    assert producer is not None and (producer.id, producer.state) == ("parent", "finished")


@pytest.mark.parametrize("end", ["os._exit", "sys.exit", "an exception"])
def test_a_child_that_leaves_a_file_begun_by_its_parent_does_not_take_it_away(here: Path, end: str) -> None:
    script(
        _DRAFT
        + """
run = artstore.init()
artifact.add_file("a")
with artifact.new_file("begun") as file:
    file.write("before ")
    file.flush()
    fork_in_mid_draft()
    file.write("after")
run.log_artifact(artifact)
""",
        end,
    )
    assert content(artstore.Api().artifact("data")) == {"a": b"a", "begun": b"before after"}


@pytest.mark.parametrize("end", ["os._exit", "sys.exit", "an exception"])
def test_a_child_that_leaves_the_block_of_its_parents_run_does_not_end_it(here: Path, end: str) -> None:
    out = script(
        _DRAFT
        + """
with artstore.init(id="parent") as run:
    artifact.add_file("a")
    fork_in_mid_draft()
    print(artstore.Api().run(run.path).state)
    run.log_artifact(artifact)
    raise SystemExit(3)
""",
        end,
        expected=3,
    )
    assert out.split() == ["running"]
    assert artstore.Api().run("parent").state == "failed"


def test_a_child_that_starts_a_run_or_finishes_the_one_it_inherited_leaves_its_parents_running(here: Path) -> None:
    run = artstore.init(id="parent")

    def start() -> None:
        artstore.init(id="child").finish()

    assert ended(begun((start,), (artstore.finish,))) == [0, 0]
    assert artstore.Api().run("child").state == "finished"
    assert artstore.Api().run("parent").state == "running"
    run.finish(1)
    assert artstore.Api().run("parent").state == "failed"


def test_a_child_forked_while_another_thread_adds_is_refused_and_does_not_hang(here: Path) -> None:
    run, artifact = artstore.init(), artstore.Artifact("data")
    make_tree(here / "many", {f"{n}": f"{n}" for n in range(500)})
    artifact.add_dir("many")
    stop = threading.Event()

    def refused() -> None:
        for call in (artifact.save, lambda: run.log_artifact(artifact), lambda: run.use_artifact(artifact)):
            with pytest.raises(Conflict, match="forked child"):
                call()

    def add() -> None:
        for number in range(1000):
            if not stop.is_set():
                artifact.add_dir("many", f"copy {number}")

    thread = threading.Thread(target=add)
    thread.start()
    try:
        assert ended(begun(*[(refused,)] * 8)) == [0] * 8
    finally:
        stop.set()
        thread.join()


def test_workers_that_were_forked_read_and_write_and_log_artifacts_of_their_own(here: Path) -> None:
    artifact = logged({**SMALL, **LARGE})
    run = artstore.init(id="parent")
    assert read(artifact.get_entry("2/5")) == SMALL["2/5"].encode()
    expected, paths = content(artifact), sorted(artifact.manifest.entries)

    def worker(who: int) -> None:
        for path in paths[who::2] * 5:
            assert read(artifact.get_entry(path)) == expected[path]
        own = artstore.Artifact(f"own {who}")
        with own.new_file("file") as file:
            file.write(f"{who}")
        own.add_file("source/data/large 0")
        run.log_artifact(own)
        Path(f"out {who}").mkdir()
        Path(f"out {who}/large 1").write_bytes(bytes(MIB + 1))
        own.download(f"out {who}")
        artifact.checkout(f"out {who}")
        assert snapshot(Path(f"out {who}")) == snapshot(here / "source/data")

    assert ended(begun(*[(worker, who) for who in range(4)])) == [0] * 4
    assert content(artifact) == expected
    assert {one.name for one in run.logged_artifacts()} == {f"own {who}:v0" for who in range(4)}
    assert artstore.Api().run("parent").state == "running"


# -- how runs end ---------------------------------------------------------------------------------------------


@pytest.mark.diagonal("end", "block")
@pytest.mark.parametrize(
    ("end", "state", "code"),
    [
        ("pass", "finished", 0),
        ("sys.exit()", "finished", 0),
        ("sys.exit(0)", "finished", 0),
        ("run.finish()", "finished", 0),
        ("threading.Thread(target=time.sleep, args=(0.2,)).start()", "finished", 0),
        ("raise RuntimeError", "failed", 1),
        ("raise KeyboardInterrupt", "failed", -2),
        ("sys.exit(3)", "failed", 3),
        ("sys.exit('it went wrong')", "failed", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", -9),
        ("os.kill(os.getpid(), signal.SIGTERM)", "crashed", -15),
        ("os._exit(0)", "crashed", 0),
    ],
)
@pytest.mark.parametrize("block", [False, True], ids=["without a block", "in a block"])
def test_a_run_is_what_became_of_its_process(here: Path, end: str, state: str, code: int, block: bool) -> None:
    begin = "with artstore.init(id='run') as run:" if block else "run = artstore.init(id='run')\nif run:"
    script(f"{begin}\n    artstore.log({{'loss': 1}})\n    {end}", expected=code)
    run = artstore.Api().run("run")
    assert run.state == state
    assert state == "crashed" or run.summary == {"loss": 1}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_of_multiprocessing_that_returns_has_finished_its_run(here: Path, method: Any) -> None:
    process = multiprocessing.get_context(method).Process(target=artstore.init, kwargs={"id": "worker"})
    process.start()
    assert ended([process]) == [0]
    assert artstore.Api().run("worker").state == "finished"


# -- drafts that nobody saved -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["pass", "raise RuntimeError", "del artifact; print(os.listdir('.artifacts/tmp'))"])
def test_a_draft_that_was_never_saved_leaves_nothing(here: Path, end: str) -> None:
    begin = "artifact = artstore.Artifact('data')\nwith artifact.new_file('file') as file:\n    file.write('text')\n"
    out = script(f"{begin}assert os.listdir('.artifacts/tmp')\n{end}", expected=1 if "raise" in end else 0)
    assert out in ("", "[]\n")
    assert transactions() == []


def test_what_a_killed_process_left_is_swept_by_the_next_draft(here: Path) -> None:
    make_tree(here / "folder", {"large": LARGE["large 0"], "small": "small"})
    begin = "artifact = artstore.Artifact('data')\nartifact.add_dir('folder')\n"
    script(begin + "with artifact.new_file('file') as file:\n    os.kill(os.getpid(), signal.SIGKILL)", expected=-9)
    assert len(transactions()) > 0
    left = set(transactions())
    artifact = artstore.Artifact("data")
    artifact.add_dir("folder")
    assert not left & set(transactions())
    artifact.save()
    assert snapshot(Path(artifact.download())) == snapshot(here / "folder")


def test_gc_beside_an_open_draft_keeps_what_the_draft_relies_on(here: Path) -> None:
    first = logged(SMALL | LARGE)
    again, based = artstore.Artifact("again"), first.new_draft()
    again.add_dir("source/data")
    with based.new_file("more") as file:
        file.write("more")
    first.delete(delete_aliases=True)
    collect = "from artstore.repository import Repository\nprint(Repository('.artifacts').gc(now=True).freed_bytes)"
    assert script(collect) == "0\n"
    again.save()
    assert script(collect) == "0\n"
    based.save()
    script(collect)
    for artifact, more in ((again, {}), (based, {"more": (False, b"more")})):
        assert snapshot(Path(artifact.download())) == snapshot(here / "source/data") | more
