"""What commands answer in the corners: nothing to show, too much to show, names that are near, and files that are not ours."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

import artstore as wandb
from artstore.backends.owner import this_process
from artstore.cli import looking
from artstore.domain.properties import Properties
from artstore.repository import Repository
from tests.support.artifacts import draft, log, log_files
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.terminal import on_terminal

# -- registries ----------------------------------------------------------------------------------


def test_registries_as_tables_and_as_json(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    assert json.loads(cli("registry", "ls", "--json").out) == []
    assert json.loads(cli("registry", "create", "models", "--json").out) == {"registry": "registry-models"}
    empty = cli("registry", "ls", "models")
    assert (empty.code, empty.out) == (0, "") and "registry-models has no links" in empty.err
    near = cli("registry", "ls", "modles")
    assert near.code == 4 and "there is no registry 'modles'" in near.err and "did you mean 'models'" in near.err
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    repo.link(repo.find("data"), "registry-models/prod")
    assert cli("registry", "ls", "models").out.splitlines()[1].split() == [
        "registry-models/prod:v0", "artifact", "uncategorized/data:v0", "latest",
    ]  # fmt: skip
    linked = json.loads(cli("registry", "ls", "models", "--json").out)
    assert [(row["spec"], row["source"]) for row in linked] == [
        ("local/registry-models/prod:v0", "uncategorized/data:v0")
    ]
    assert cli("registry", "rm", "models").code == 6
    gone = cli("registry", "rm", "models", "--force", "--json")
    assert json.loads(gone.out) == {"deleted": "registry-models", "links": 1}
    assert "nothing is pending" in cli("pending", "ls").err


# -- looking -------------------------------------------------------------------------------------


def test_how_long_a_version_lives_is_told_in_the_unit_that_fits() -> None:
    seconds = [None, 90, 120, 7200, 3 * 86400, 7201]
    assert [looking._duration(ttl) for ttl in seconds] == ["never", "90s", "2m", "2h", "3d", "7201s"]


def test_the_log_of_what_never_was_is_not_found(repo: Repository, cli: Cli) -> None:
    assert cli("log", "nothing", "--deleted").code == 4


def test_cat_prints_the_rows_of_joined_and_partitioned_tables(here: Path, cli: Cli) -> None:
    artifact = wandb.Artifact("data", type="dataset")
    seen = wandb.Table(columns=["image", "digit"], data=[["1.png", 7], ["2.png", 1]])
    true = wandb.Table(columns=["name", "digit"], data=[["1.png", 1], ["2.png", 1]])
    artifact.add(wandb.JoinedTable(seen, true, ["image", "name"]), "both")
    artifact.add(wandb.PartitionedTable("days"), "week")
    artifact.add(wandb.JoinedTable(seen, "week.partitioned-table.json", "image"), "gone")
    for day in ("mon", "tue"):
        artifact.add(wandb.Table(columns=["day"], data=[[day]]), f"days/{day}")
    log(artifact)
    both = cli("cat", "data", "both", cwd=here)
    assert both.code == 0, both.err
    assert [line.split() for line in both.out.splitlines()] == [
        ["image", "=", "name", "digit", "(1)", "digit", "(2)"], ["1.png", "7", "1"], ["2.png", "1", "1"],
    ]  # fmt: skip
    assert (both.code, both.err) == (0, "2 rows, 3 columns\n")
    assert cli("cat", "data", "week", cwd=here).out.split() == ["day", "mon", "tue"]
    assert cli("cat", "data", "week.partitioned-table.json", "-n", "1", cwd=here).out.split() == ["day", "mon"]
    assert cli("cat", "data", "week", "--raw", cwd=here).out == '{"_type": "partitioned-table", "parts_path": "days"}'
    gone = cli("cat", "data", "gone", cwd=here)
    assert gone.code == 7 and len(gone.out.splitlines()) == 3
    assert "error: 'week.partitioned-table.json' has no column 'image' to join by" in gone.err


def test_of_a_table_that_differs_in_a_thousand_rows_the_rest_is_counted(here: Path, cli: Cli) -> None:
    for shift in (0, 10):
        artifact = wandb.Artifact("t", "table")
        artifact.add(wandb.Table(columns=["id", "x"], data=[[n, n + shift] for n in range(1005)]), "rows")
        log(artifact)
    told = cli("diff", "t:v0", "t:v1", "--table", "rows", "--key", "id", cwd=here)
    assert told.code == 0 and "M  and 5 more" in told.out and "rows: 1,005 changed" in told.out


def test_a_run_of_one_id_in_several_projects_is_asked_back(here: Path, cli: Cli) -> None:
    for project in ("one", "two"):
        with wandb.init(project=project, id="same"):
            pass
    told = cli("runs", "show", "same", cwd=here)
    assert told.code == 4 and told.err.endswith("hint: name one by its id: local/one/same, local/two/same\n")
    assert cli("runs", "show", "one/same", cwd=here).code == 0


def test_a_folder_says_how_its_artifact_stands_to_remotes(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"f": "1"})
    repo.put(str(source), "data")
    repo.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repo.push()
    assert "nas" not in cli("status").out
    repo.put(str(make_tree(source, {"f": "2"})), "data")
    assert "nas" in cli("status").out


@pytest.mark.damaged
def test_a_folder_that_can_not_be_compared_is_told_so_as_json(
    repo: Repository, root: Path, cli: Cli, tmp_path: Path
) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    (root / "refs/local/uncategorized/data/00000001.json").write_bytes(b"{")
    told = json.loads(cli("status", "--json").out)
    assert told[0]["problem"] and not told[0]["deleted"]


# -- errors --------------------------------------------------------------------------------------


def test_of_many_files_that_can_not_be_added_fifty_are_listed(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for number in range(60):
        os.mkfifo(source / f"pipe{number:02}")
    told = cli("put", "src", "--name", "data")
    assert told.code == 8 and told.err.count(": is a FIFO") == 50 + 1 and "  and 10 more" in told.err


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--exclude", "x"]])
def test_a_fifo_that_is_named_is_refused_and_never_opened(cli: Cli, tmp_path: Path, more: list[str]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "link").symlink_to("fifo")
    writer = threading.Thread(target=lambda: os.close(os.open(fifo, os.O_WRONLY)))
    writer.start()  # it waits until somebody opens the FIFO to read from it
    for path in ("fifo", "link", f"file://{fifo}"):
        done = cli("put", path, "--name", "x", *more)
        refused = 3 if more == ["--exclude", "x"] and path[:4] != "file" else 8
        told = "is not a folder" if refused == 3 else "is a FIFO"
        assert done.code == refused and told in done.err and done.out == "", done
    assert writer.is_alive(), "nobody opened it"
    os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
    writer.join()
    assert cli("ls").out == ""


def test_an_option_in_a_command_s_place_is_a_wrong_command_line(cli: Cli) -> None:
    told = cli("--", "-x")
    assert told.code == 2 and "-x" in told.err


def test_who_looks_for_a_bug_sees_where_it_is(repo: Repository, tmp_path: Path) -> None:
    """`ARTSTORE_DEBUG=1` shows the traceback of what is a bug; without it one sentence asks to report it."""
    broken = "import artstore.cli.looking as l\ndef no(*a, **k): raise RuntimeError('boom')\nl.open_view = no"
    code, shown = on_terminal(tmp_path, "ls", setup=broken, ARTSTORE_DEBUG="1")
    assert code == 1 and "Traceback" in shown and "RuntimeError: boom" in shown
    code, shown = on_terminal(tmp_path, "ls", setup=broken)
    assert code == 70 and "this is a bug in artstore: RuntimeError: boom" in shown and "Traceback" not in shown


# -- keeping -------------------------------------------------------------------------------------


def test_findings_are_wrapped_beside_their_columns_on_a_terminal(repo: Repository, tmp_path: Path) -> None:
    (Path(repo.root) / "config").write_text("[gc]\ngrace = nonsense that is quite long\n")
    _, shown = on_terminal(tmp_path, "doctor", columns=60)
    lines = shown.splitlines()
    assert any(line.startswith(" " * 20) and line.strip() for line in lines), shown


def test_who_is_at_work_is_told_as_far_as_it_is_known(repo: Repository, cli: Cli) -> None:
    own = this_process()
    names = [str(own), str(own._replace(host="node7-0123456789ab")), "notes.txt"]
    for name in names:
        (Path(repo.root) / "tmp" / name).mkdir()
    try:
        told = cli("gc", "--now").out
    finally:
        for name in names:
            (Path(repo.root) / "tmp" / name).rmdir()
    assert f"because of open work: process {os.getpid()} on this host\n" in told
    assert "open work: notes.txt, which artstore didn't make (`artstore gc --abandon notes.txt` removes it)" in told
    assert f"process {os.getpid()} on node7, perhaps dead" in told


def test_the_list_of_what_waits_to_be_finished(here: Path, cli: Cli) -> None:
    log_files({"f": "1"})
    with wandb.init() as run:
        part = draft("parts")
        run.upsert_artifact(part, distributed_id="together")
    told = cli("pending", "ls", cwd=here).out.splitlines()
    assert told[0].split()[:3] == ["NAME", "ID", "PARTS"] and told[1].split()[:3] == ["parts", "together", "1"]


# -- deleting ------------------------------------------------------------------------------------


@pytest.fixture
def named(repo: Repository, tmp_path: Path) -> Repository:
    """b:v0 and b:v1, with aliases; it was a."""
    for text, aliases in (("1", ("old", "good")), ("2", ("prod",))):
        repo.put(str(make_tree(tmp_path / "src", {"f": text * 2000})), "a", aliases=aliases)
    repo.rename("a", "b")
    return repo


def test_what_is_deleted_under_an_old_name_is_named_by_the_one_that_it_has(named: Repository, cli: Cli) -> None:
    assert json.loads(cli("rm", "a:v0", "--force", "--json").out) == {"deleted": ["local/uncategorized/b:v0"]}
    assert json.loads(cli("undelete", "a:v0", "--json").out) == {"undeleted": ["local/uncategorized/b:v0"]}
    assert (
        json.loads(cli("edit", "--collection", "a", "-d", "x", "--json").out)["collection"] == "local/uncategorized/b"
    )
    assert json.loads(cli("alias", "a:v0", "x", "--json").out)["spec"] == "local/uncategorized/b:v0"
    assert json.loads(cli("tag", "a:v0", "x", "--json").out)["spec"] == "local/uncategorized/b:v0"
    assert "deleted b with 2 versions" in cli("rm", "--collection", "a", "--force").out
    assert json.loads(cli("undelete", "a", "--json").out) == {
        "undeleted": ["local/uncategorized/b:v0", "local/uncategorized/b:v1"]
    }
    assert json.loads(cli("rm", "--collection", "a", "--json").out) == {"deleted": ["local/uncategorized/b"]}


def test_aliases_that_go_with_a_version_are_named_with_the_command_that_sets_them_again(
    named: Repository, cli: Cli
) -> None:
    again = "b:v0 had the aliases old, good; after an undelete, `artstore alias b:v0 old good` sets them again"
    last = "b:v1 had the alias prod; after an undelete, `artstore alias b:v1 prod` sets it again"
    assert cli("rm", "b:v0", "--force").out.splitlines()[1:] == [again]
    cli("undelete", "b:v0")
    assert cli("alias", "b:v0", "old", "good").code == 0
    assert cli("rm", "--collection", "b", "--force").out.splitlines()[1:] == [again, last]
    cli("undelete", "b")
    assert len(cli("rm", "b:v1").out.splitlines()) == 1


def test_gc_says_that_what_is_in_the_trash_can_be_undeleted(named: Repository, cli: Cli) -> None:
    assert cli("gc").out == "freed 0 B; 2 live versions\n"
    cli("rm", "b:v0", "--force")
    named.edit("b", Properties(description="y" * 9000))
    cli("rm", "--collection", "b", "--force")
    first, second = cli("gc").out.splitlines()
    assert first == "freed 0 B; 0 live versions"
    assert second.endswith(
        " to the trash; gc frees it after the grace period, gc --now at once; until then undelete works"
    )
    assert "bytes); 0 live versions" in cli("gc", "--now").out


def test_get_counts_what_stays_beside_the_version(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1", "a": "1", "sub/b": "1"})), "data")
    repo.put(str(make_tree(tmp_path / "next", {"f": "2", "sub/c": "2"})), "data")
    assert len(cli("get", "data:v0", "--root", "out").out.splitlines()) == 1
    both = "2 other files and folders stay there; `--delete` removes them"
    assert cli("get", "data:v1", "--root", "out").out.splitlines()[1:] == [both]
    assert cli("get", "data:v1", "--root", "out").out.splitlines()[1:] == [both], "nothing is written"
    (tmp_path / "out/sub/b").unlink()
    (tmp_path / "out/.git").mkdir()
    one = "1 other file or folder stays there; `--delete` removes it"
    assert cli("get", "data:v1", "--root", "out").out.splitlines()[1:] == [one], "a .git stays anyway"
    assert "others" not in json.loads(cli("get", "data:v1", "--root", "out", "--json").out)
    assert cli("get", "data:v1", "--root", "out", "--delete").out.splitlines() == [
        "got data:v1: 2 files in out, 0 B written, 2 already there, 1 removed"
    ]


def test_a_command_that_can_not_be_started_leaves_the_signals_of_its_process_as_they_were(cli: Cli) -> None:
    """A write to a pipe that somebody closed is an error then, and not the end of the process."""
    numbers = (signal.SIGPIPE, signal.SIGXFSZ)
    before = [signal.getsignal(number) for number in numbers]
    assert cli("run", "no-such-command").code == 4
    assert [signal.getsignal(number) for number in numbers] == before == [signal.SIG_IGN] * 2
