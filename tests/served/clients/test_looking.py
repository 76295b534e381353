"""Looking at a served remote, with nothing here: what each role sees, and how much is asked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import artstore
from artstore.repository import Repository
from artstore.view import view_of
from tests.served.clients.conftest import Team
from tests.support.commands import Cli
from tests.support.exchange import got
from tests.support.folders import snapshot
from tests.support.served import Asking

LOOKING = (
    ("ls",), ("ls", "--json"), ("ls", "vision/"), ("ls", "vision/data:v0"), ("ls", "-r", "vision/data"), ("ls", "vision/data", "sub"),
    ("ls", "--where", "tags=blue"), ("show", "vision/data:v0"), ("show", "vision/model", "--json"), ("log", "vision/data"),
    ("log", "vision/data", "--aliases"), ("lineage", "vision/model"), ("runs", "ls"), ("runs", "ls", "--where", "config.lr=0.5"),
    ("runs", "show", "vision/r1"), ("runs", "show", "vision/r1", "--history"), ("runs", "files", "vision/r1"),
)  # fmt: skip
REFUSED = "the role of your token at {} is viewer: it can look, and not download"


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_viewer_sees_what_the_owner_of_the_repository_sees(team: Team, cli: Cli, command: tuple[str, ...]) -> None:
    here = cli(*command, ARTSTORE_DIR=str(team.root), ARTSTORE_PROJECT="vision")
    seen = cli(*command, "--from", team.url, ARTSTORE_PROJECT="vision", **team("viewer"))
    if command != ("ls", "--json"):
        assert (seen.code, _words(seen.out)) == (
            0,
            [line for line in _words(here.out) if not any("hidden" in word for word in line)],
        )
    else:
        assert json.loads(seen.out) == [one for one in json.loads(here.out) if "hidden" not in one["collection"]]


def _words(text: str) -> list[list[str]]:
    """The words of each line, whose columns depend on what else is listed."""
    return [line.split() for line in text.splitlines()]


def test_a_viewer_gets_the_length_of_a_history_and_the_digest_of_none(team: Team) -> None:
    found = {}
    for role in ("viewer", "reader"):
        asking = Asking(team.url, team(role)["ARTSTORE_TOKEN"])
        ((run,), end) = asking.post("/runs", entity="local", project="vision", name="r1", id="r1")[1]
        assert end == ["end"]
        found[role] = list(run["history"].values())
    assert [part["rows"] for part in found["viewer"]] == [part["rows"] for part in found["reader"]] != []
    assert {(part["text"], part["blob"]) for part in found["viewer"]} == {(None, None)}
    assert all(part["text"] or part["blob"] for part in found["reader"])


def test_a_viewer_gets_no_digest_of_a_file(team: Team, cli: Cli) -> None:
    def listed(role: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(
            cli("ls", "-r", "vision/data:v0", "--json", "--from", team.url, **team(role)).out
        )
        return found

    assert {one["digest"] for one in listed("viewer")} == {None}
    assert all(one["digest"] for one in listed("reader"))


@pytest.mark.parametrize(
    "command",
    [
        ("cat", "vision/data", "a.txt"), ("get", "vision/data"),
        ("export", "vision/data", "-o", "x.tar"), ("runs", "files", "vision/r1", "notes.txt", "--root", "there"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_a_viewer_may_not_download_ends_in_a_sentence(
    team: Team, cli: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    told = cli(*command, "--from", team.url, **team("viewer"))
    assert (told.code, told.out) == (6, "")
    assert REFUSED.format(team.url) in told.err and "role `reader`" in told.err


def test_a_viewer_can_neither_clone_nor_pull(team: Team, cli: Cli, tmp_path: Path) -> None:
    told = cli("clone", team.url, "copy", **team("viewer"))
    assert (told.code, REFUSED.format(team.url) in told.err) == (6, True)
    assert not (tmp_path / "copy").exists(), "nothing was made"
    assert cli("clone", team.url, "copy", **team("reader")).code == 0
    for command in ("pull", "fetch"):
        told = cli(command, cwd=tmp_path / "copy", **team("viewer"))
        assert (told.code, REFUSED.format(team.url) in told.err) == (6, True)
    told = cli("push", cwd=tmp_path / "copy", **team("reader"))
    assert told.code == 6 and f"the role of your token at {team.url} is reader: it can't write" in told.err


def test_without_a_token_a_hint_says_how_to_get_in(team: Team, cli: Cli) -> None:
    told = cli("ls", "--from", team.url)
    assert (told.code, told.out) == (9, "")
    assert f"{team.url} answers only with a token, and none is known for it here" in told.err
    assert f"hint: `artstore login {team.url}` keeps one" in told.err
    told = cli("ls", "--from", team.url, ARTSTORE_TOKEN="art_00000000_" + "x" * 43)
    assert (
        told.code == 9 and "the token: it is unknown, was revoked, or has expired" in told.err and "xxx" not in told.err
    )


def test_a_push_to_a_project_that_the_token_is_not_for_says_what_that_may_be(
    team: Team, cli: Cli, tmp_path: Path
) -> None:
    assert cli("clone", team.url, "copy", **team("writer")).code == 0
    for project in ("hidden", "absent"):
        (tmp_path / "copy/f").write_text(project)
        assert cli("put", "f", "-n", f"{project}/new", cwd=tmp_path / "copy").code == 0
        told = cli("push", "origin", f"{project}/new", cwd=tmp_path / "copy", **team("writer"))
        assert told.code == 4 and f"there is no project local/{project}" in told.err, told
        assert "hint: your token may not be for it: ask who runs this server" in told.err


def test_what_is_done_on_the_server_is_refused_in_words(team: Team, cli: Cli, tmp_path: Path) -> None:
    assert cli("clone", team.url, "copy", **team("admin")).code == 0
    for command in ("gc", "fsck"):
        told = cli(command, "origin", cwd=tmp_path / "copy", **team("admin"))
        message = f"{team.url} is a served repository: it is maintained where it is served"
        assert (told.code, message in told.err, "ask who runs the server" in told.err) == (6, True, True)


def test_a_list_of_all_artifacts_is_one_request(team: Team, enter: Callable[[str], None]) -> None:
    enter("viewer")
    with view_of(team.url, None) as view:
        assert [str(state.path) for state in view.collections()] == ["local/vision/data", "local/vision/model"]
        assert len(view.runs.all()) == 1
    assert team.asked == ["GET /v1", "POST /v1/collections", "POST /v1/runs"]


def test_a_download_asks_for_trees_level_by_level_and_for_small_files_together(
    team: Team, enter: Callable[[str], None], writer: Repository, tmp_path: Path
) -> None:
    enter("reader")
    with view_of(team.url, None) as view:
        found = view.find("vision/data:v0")
        team.proxy.reset()
        view.get(found, str(tmp_path / "got"))
    assert snapshot(tmp_path / "got") == got(writer, "vision/data:v0")
    assert [path.partition("blobs/")[0] for path in team.asked] == ["POST /v1/objects"] * 5 + ["GET /v1/"]


def test_a_script_reads_a_served_repository_by_its_url(team: Team, here: Path, enter: Callable[[str], None]) -> None:
    enter("reader")
    api = artstore.Api(repository=team.url)
    data = api.artifact("vision/data:v0")
    assert (data.aliases, data.description[:24]) == (["good"], "a long story of vision a")
    assert snapshot(Path(data.download("got")))["a.txt"] == (False, b"small")
    (run,) = api.runs("local/vision")
    assert (run.config["lr"], run.summary["loss"], len(list(run.scan_history()))) == (0.5, 0.2, 5)
    assert [one.name for one in run.logged_artifacts()] == ["model:v0"]
    with run.file("notes.txt").download(str(here / "files")) as file:
        assert file.read() == "seen"
    assert len(api.artifact("vision/model:latest").metadata["story"]) == 200_000


def test_a_folder_that_is_there_gets_what_differs(team: Team, enter: Callable[[str], None], writer: Repository) -> None:
    with view_of(team.url, None) as view:
        (root := Path(writer.root).parent / "got").mkdir()
        view.get(view.find("vision/data:v0"), str(root))
        view.get(view.find("vision/data:v1"), str(root))
        assert snapshot(root) == got(writer, "vision/data:v1")
