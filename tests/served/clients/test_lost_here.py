"""What was lost here is stored again from a served remote, as far as the token may read."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from artstore.domain.selection import Selection
from artstore.repository import Repository
from tests.served.clients.conftest import Team
from tests.support.checks import check
from tests.support.exchange import got, put
from tests.support.folders import make_tree
from tests.support.servers import PASS, REFUSE

Enter = Callable[[str], None]


def lose(repository: Repository, *, large: bool = True) -> None:
    """Remove all packs of a repository, and all large files."""
    root = Path(repository.root)
    for path in (*root.glob("objects/packs/*.pack"), *(root.glob("objects/blobs/*/*") if large else ())):
        os.unlink(path)


def test_everything_that_was_lost_here_comes_back_from_a_served_remote(
    team: Team, enter: Enter, tmp_path: Path
) -> None:
    enter("reader")
    mine, _ = Repository.clone(team.url, str(tmp_path / "mine/.artifacts"))
    with mine:
        before = [got(mine, name) for name in ("vision/data:v0", "vision/data:v1", "vision/model")]
        run = mine.runs.all()[0]
        rows = list(mine.run_history(run))
        lose(mine)
        report = mine.fsck(repair=True)
        assert report.problems == [] and report.notes == []
        assert any("from remote 'origin'" in line for line in report.mended)
    with Repository(mine.root) as again:
        assert [got(again, name) for name in ("vision/data:v0", "vision/data:v1", "vision/model")] == before
        assert list(again.run_history(run)) == rows and rows
    check(tmp_path / "mine/.artifacts")


def test_what_the_server_lacks_too_keeps_nothing_else_from_coming_back(
    team: Team, enter: Enter, tmp_path: Path
) -> None:
    enter("reader")
    mine, _ = Repository.clone(team.url, str(tmp_path / "mine/.artifacts"))
    with mine:
        source = make_tree(tmp_path / "source", {"own.txt": "own", "deep/own.bin": bytes(range(256)) * 8192})
        mine.put(str(source), "vision/only-here")
        shutil.rmtree(source)
        lose(mine)
        report = mine.fsck(repair=True)
        assert report.problems and all("only-here" in problem for problem in report.problems)
    with Repository(mine.root) as again:
        assert got(again, "vision/data:v0")


def test_a_remote_that_cannot_be_asked_is_a_note_of_the_repair(team: Team, enter: Enter, tmp_path: Path) -> None:
    enter("reader")
    mine, _ = Repository.clone(team.url, str(tmp_path / "mine/.artifacts"))
    with mine:
        lose(mine, large=False)
        enter("viewer")
        report = mine.fsck(repair=True)
        assert len(report.notes) == 1 and "remote 'origin' could not be searched completely" in report.notes[0]
        assert "is viewer: it can look, and not download" in report.notes[0] and report.problems
        enter("reader")
        team.proxy.rule = lambda request, number: REFUSE(401)
        assert "could not be searched" in mine.fsck(repair=True).notes[0]
        team.proxy.rule = lambda request, number: PASS
        assert mine.fsck(repair=True).problems == []


def test_a_version_that_was_deleted_there_keeps_no_other_from_being_read(
    team: Team, writer: Repository, tmp_path: Path
) -> None:
    for number in range(3):
        put(writer, "vision/shrinking", {"a.txt": f"{number}" * 100})
    writer.push(specs=["vision/shrinking"])
    nothing = Selection("nothing")
    thin, _ = Repository.clone(team.url, str(tmp_path / "thin/.artifacts"), selection=nothing)
    with Repository(str(team.root)) as theirs:
        theirs.delete("vision/shrinking:v1")
    with thin:
        entry = thin.entry(thin.find("vision/shrinking:v0"), "a.txt")
        assert b"".join(thin.content(entry)) == b"0" * 100
