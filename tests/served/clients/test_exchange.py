"""Push, pull and clone with a served remote."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artstore.domain.selection import Selection
from artstore.errors import Conflict, DamagedObject, InvalidValue, NotFound, Refused
from artstore.repository import Repository
from artstore.sync.transfer import NOTHING
from artstore.view import view_of
from tests.served.clients.conftest import Team
from tests.server.test_token_commands import login
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.exchange import BIG, FILES, got, outcomes, put, says
from tests.support.trouble import run

Enter = Callable[[str], None]


def cloned(team: Team, tmp_path: Path, name: str = "reader", **options: object) -> Repository:
    repository, _ = Repository.clone(team.url, str(tmp_path / f"{name}/.artifacts"), **options)  # type: ignore[arg-type]
    return repository


def test_a_clone_is_what_the_token_may_read(team: Team, enter: Enter, tmp_path: Path) -> None:
    enter("reader")
    with cloned(team, tmp_path) as mine, Repository(str(team.root)) as theirs:
        assert [str(state.path) for state in mine.collections()] == ["local/vision/data", "local/vision/model"]
        for name in ("vision/data", "vision/model"):
            assert says(mine, name) == says(theirs, name)
        assert got(mine, "vision/data:v0") == got(theirs, "vision/data:v0")
        (run,) = mine.runs.all()
        assert len(list(mine.run_history(run))) == 5 and "notes.txt" in mine.run_files(run)
        with mine.open_run_file(run, "notes.txt") as file:
            assert file.read() == b"seen"
    check(tmp_path / "reader/.artifacts")


def test_an_exchange_without_news_takes_three_requests(team: Team, enter: Enter, writer: Repository) -> None:
    with writer:
        for exchange in (writer.pull, writer.push):
            exchange()
            team.proxy.reset()
            assert set(outcomes(exchange()).values()) == {"up to date"}
            assert len(team.asked) <= 3, team.asked


def test_a_push_gets_there_whole_and_under_the_name_of_its_token(
    team: Team, enter: Enter, writer: Repository, tmp_path: Path
) -> None:
    put(
        writer,
        "vision/pushed",
        {**FILES, **{f"many/{n}": str(n) for n in range(300)}},
        type="model",
        metadata={"s": "z" * 99_999},
    )
    put(writer, "vision/pushed", {**FILES, "a.txt": "new", "big.bin": BIG + b"!"}, aliases=("best",), tags=("t",))
    done = writer.push(specs=["vision/pushed"])
    assert outcomes(done) == {"pushed": "moved"}
    with Repository(str(team.root)) as theirs:
        assert says(theirs, "vision/pushed") == says(writer, "vision/pushed")
        assert got(writer, "vision/pushed:v1") == got(theirs, "vision/pushed:v1")
        assert {entry.author for entry in theirs.history("vision/pushed")} == {"writer"}
    assert set(outcomes(writer.push()).values()) == {"up to date"}


def test_a_second_version_costs_what_changed(team: Team, writer: Repository) -> None:
    files = {**FILES, **{f"many/{n}": str(n) for n in range(100)}}
    put(writer, "vision/grown", files)
    writer.push(specs=["vision/grown"])
    put(writer, "vision/grown", {**files, "many/7": "seven"})
    assert writer.push(specs=["vision/grown"], dry_run=True).objects == 4, "a blob, two trees and a record"
    team.proxy.reset()
    assert writer.push(specs=["vision/grown"]).objects == 4
    assert sum("/blobs/" in path for path in team.asked) == 0


def test_files_of_an_older_version_are_not_sent_again(team: Team, writer: Repository) -> None:
    put(writer, "vision/back", {"a": "1", "big": BIG})
    put(writer, "vision/back", {"a": "2", "big": BIG + b"2"})
    writer.push(specs=["vision/back"])
    put(writer, "vision/back", {"a": "1", "b": "new", "big": BIG})
    team.proxy.reset()
    writer.push(specs=["vision/back"])
    assert [path for path in team.asked if "/blobs/" in path] == []


def test_a_push_of_a_renamed_artifact_renames_it_there_if_the_role_may(
    team: Team, enter: Enter, writer: Repository
) -> None:
    put(writer, "vision/old-name", FILES)
    writer.push(specs=["vision/old-name"])
    writer.rename("vision/old-name", "vision/new-name")
    put(writer, "vision/beside", {"a": "1"})
    done = writer.push(specs=["vision/new-name", "vision/beside"])
    assert outcomes(done) == {"new-name": "refused", "beside": "moved"}
    assert isinstance(done.refused[0].problem, Refused) and "it takes 'admin'" in str(done.refused[0].problem)
    enter("admin")
    writer.push(specs=["vision/new-name"])
    with Repository(str(team.root)) as theirs:
        assert str(theirs.find("vision/old-name").state.path) == "local/vision/new-name"


def test_of_two_pushes_of_one_number_the_second_pulls_first(
    team: Team, enter: Enter, writer: Repository, tmp_path: Path
) -> None:
    put(writer, "vision/both", {"a": "first"})
    writer.push(specs=["vision/both"])
    with cloned(team, tmp_path, "other") as other:
        put(writer, "vision/both", {"a": "mine"})
        put(other, "vision/both", {"a": "theirs"})
        writer.push(specs=["vision/both"])
        (refused,) = other.push(specs=["vision/both"]).refused
        assert isinstance(refused.problem, Conflict)
        other.pull(specs=["vision/both"])
        assert outcomes(other.push(specs=["vision/both"])) == {"both": "moved"}
        writer.pull(specs=["vision/both"])
        assert says(writer, "vision/both") == says(other, "vision/both")
    check(tmp_path / "other/.artifacts")


def test_a_lost_race_is_planned_again(team: Team, enter: Enter, writer: Repository, tmp_path: Path) -> None:
    put(writer, "vision/race", {"a": "first"})
    writer.push(specs=["vision/race"])
    with cloned(team, tmp_path, "other") as other:
        other.set_tags("vision/race:v0", ("other",))
        writer.set_tags("vision/race:v0", ("mine",))
        rule, first = team.proxy.rule, []

        def between(request, number):  # type: ignore[no-untyped-def]
            if request.method == "PUT" and not first:
                first.append(number)
                other.push(specs=["vision/race"])
            return rule(request, number)

        team.proxy.rule = between
        assert outcomes(writer.push(specs=["vision/race"])) == {"race": "moved"}
        other.pull(specs=["vision/race"])
        writer.pull(specs=["vision/race"])
        assert says(writer, "vision/race") == says(other, "vision/race")
    check(tmp_path / "other/.artifacts")


def test_a_link_into_a_registry_costs_no_file(team: Team, enter: Enter, writer: Repository) -> None:
    enter("promoter")
    put(writer, "vision/linked", {"a": "1", "big": BIG})
    writer.push(specs=["vision/linked"])
    writer.link(writer.find("vision/linked:v0"), "registry-models/linked")
    team.proxy.reset()
    assert outcomes(writer.push(specs=["registry-models/"])) == {"linked": "moved"}
    assert not any("/blobs/" in path for path in team.asked)
    with Repository(str(team.root)) as theirs:
        assert theirs.find("registry-models/linked").is_link


def test_a_blob_that_is_damaged_here_is_not_sent(team: Team, writer: Repository) -> None:
    put(writer, "vision/damaged", {"big": BIG + b"damaged", "a": "1"})
    put(writer, "vision/right", {"a": "2"})
    (blob,) = (
        path
        for path in Path(writer.root, "objects/blobs").rglob("*")
        if path.is_file() and path.read_bytes().endswith(b"damaged")
    )
    content = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"x" + content[1:])
    done = writer.push(specs=["vision/damaged", "vision/right"])
    assert outcomes(done) == {"damaged": "refused", "right": "moved"}
    assert isinstance(done.refused[0].problem, DamagedObject)
    put(writer, "vision/again", {"big": content})
    assert outcomes(writer.push(specs=["vision/damaged", "vision/again"])) == {"damaged": "moved", "again": "moved"}


def test_a_partial_clone_fetches_what_it_needs(team: Team, enter: Enter, tmp_path: Path) -> None:
    with cloned(team, tmp_path, "part", selection=NOTHING) as part, cloned(team, tmp_path, "whole") as whole:
        found = part.find("vision/data:v0")
        assert part.objects.sizes([part.entry(found, "a.txt").digest]) == {}
        assert b"".join(part.content(part.entry(found, "a.txt"))) == b"small"
        team.proxy.reset()
        assert got(part, "vision/data:v1") == got(whole, "vision/data:v1")
        assert len(team.asked) <= 6, team.asked
        (run,) = part.runs.all()
        with part.open_run_file(run, "notes.txt") as file:
            assert file.read() == b"seen"
        assert part.fsck().problems == []


def test_a_pull_of_some_files_leaves_the_others_there(team: Team, enter: Enter, tmp_path: Path) -> None:
    with cloned(team, tmp_path, "some", selection=Selection(prefix="sub/")) as some:
        found = some.find("vision/data:v0")
        there = some.objects.sizes([some.entry(found, path).digest for path in ("sub/b.txt", "a.txt")])
        assert list(there.values()) == [5]


def test_a_remote_is_added_without_keeping_a_token(team: Team, cli: Cli, tmp_path: Path) -> None:
    cli("init")
    told = cli("remote", "add", "team", f"{team.url}/", **team("writer"))
    assert (told.code, told.out) == (0, f"added remote team: {team.url}\n")
    told = cli("remote", "add", "looked", team.url, **team("reader"))
    assert told.out == f"added remote looked: {team.url} (read-only)\n"
    told = cli("remote", "add", "seen", team.url, **team("viewer"))
    assert told.out == f"added remote seen: {team.url} (read-only)\n"
    assert cli("ls", "--from", "seen", **team("viewer")).code == 0
    stored = b"".join(path.read_bytes() for path in (tmp_path / ".artifacts").rglob("*") if path.is_file())
    assert not any(secret.encode() in stored for secret in team.secrets.values())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org/team", "is not encrypted"), ("https://anna:s3cr3t@example.org", "holds credentials"),
        ("https://token@example.org", "holds credentials"), ("https://example.org/?token=s3cr3t", "has a query or fragment"),
        ("http://localhost.evil.example", "is not encrypted"), ("http://127.0.0.1.evil.example", "is not encrypted"),
        ("https://", "names no host"), ("https://host:port", "is not a URL"),
    ],
)  # fmt: skip
def test_an_address_that_would_give_a_token_away_is_refused(cli: Cli, url: str, says: str) -> None:
    cli("init")
    for command in (("remote", "add", "team", url), ("clone", url, "copy"), ("ls", "--from", url)):
        told = cli(*command, ARTSTORE_TOKEN="art_s3cr3t")
        assert told.code == 3 and says in told.err and "s3cr3t" not in told.err, told


def test_a_token_of_the_environment_goes_only_where_the_user_said(team: Team, cli: Cli, tmp_path: Path) -> None:
    assert cli("clone", team.url, "copy", ARTSTORE_TOKEN=team.secrets["reader"]).code == 0
    (tmp_path / ".config/artstore/servers").unlink()  # as if the clone had come from elsewhere
    told = cli("pull", cwd=tmp_path / "copy", ARTSTORE_TOKEN=team.secrets["reader"])
    assert told.code == 9 and "none is known for it here" in told.err, "a clone's config names the address"
    assert cli("pull", cwd=tmp_path / "copy", **team("reader")).code == 0
    (tmp_path / "copy/artstore.remotes").write_text(f"other {team.url}\n")
    told = cli("remote", "add", "other", cwd=tmp_path / "copy", ARTSTORE_TOKEN=team.secrets["reader"])
    assert told.code == 9 and "none is known for it here" in told.err, "a file in the project names it"


def test_after_a_login_no_variable_is_needed(team: Team, cli: Cli, tmp_path: Path) -> None:
    told = login(tmp_path, team.url, team.secrets["writer"])
    assert (told.code, " as writer (writer); " in told.out) == (0, True), told
    assert cli("clone", team.url, "copy").code == 0
    assert (
        cli("push", cwd=tmp_path / "copy").err == ""
        and cli("doctor", cwd=tmp_path / "copy").out.count("there is a token for it") == 1
    )
    assert cli("logout", team.url).code == 0
    told = cli("pull", cwd=tmp_path / "copy")
    assert told.code == 9 and "none is known for it here" in told.err
    assert "there is no token for it" in cli("doctor", cwd=tmp_path / "copy").out


def test_another_token_that_sees_less_is_no_rewritten_history(team: Team, enter: Enter, tmp_path: Path) -> None:
    enter("admin")
    with cloned(team, tmp_path, "admin") as mine:
        assert mine.find("hidden/secret").number == 0
        enter("reader")
        assert outcomes(mine.pull())["data"] == "up to date"
        enter("admin")
        assert outcomes(mine.pull())["secret"] == "up to date"
    check(tmp_path / "admin/.artifacts")


def test_what_is_not_there_is_told_like_anywhere(team: Team, enter: Enter, writer: Repository) -> None:
    with pytest.raises(NotFound, match="has no artifact local/hidden/secret"):
        writer.pull(specs=["hidden/secret"])
    with pytest.raises(InvalidValue, match="artstore knows how to make a repository in a folder or bucket"):
        writer.remotes.add("new", "https://example.org", make=True)


def test_a_lock_file_restores_from_a_served_remote(team: Team, cli: Cli, enter: Enter, tmp_path: Path) -> None:
    assert cli("clone", team.url, "copy", **team("reader")).code == 0
    copy = tmp_path / "copy"
    assert cli("get", "vision/data:v0", "--root", "data", cwd=copy, **team("reader")).code == 0
    assert cli("lock", cwd=copy).code == 0
    assert f'url = "{team.url}"' in (copy / "artstore.lock").read_text()
    (fresh := tmp_path / "fresh").mkdir()
    (fresh / "artstore.lock").write_text((copy / "artstore.lock").read_text())
    (tmp_path / ".config/artstore/servers").unlink(missing_ok=True)
    told = cli("get", "--locked", cwd=fresh, ARTSTORE_TOKEN=team.secrets["reader"])
    assert told.code == 9 and "none is known for it here" in told.err, "the lock file names the address"
    assert cli("get", "--locked", cwd=fresh, **team("reader")).code == 0
    assert (fresh / "data/a.txt").read_text() == "small"


def test_a_state_is_asked_for_anew(team: Team, enter: Enter, writer: Repository) -> None:
    put(writer, "vision/fresh", {"a": "1"})
    writer.push(specs=["vision/fresh"])
    with view_of(team.url, None) as view:
        seen = view.find("vision/fresh")
        assert view.refs.is_current(seen.state)
        put(writer, "vision/fresh", {"a": "2"})
        writer.push(specs=["vision/fresh"])
        assert not view.refs.is_current(seen.state)
        assert view.find("vision/fresh").number == 1


def test_the_token_of_the_environment_is_for_remotes_that_this_user_named_and_for_no_others(
    team: Team, tmp_path: Path
) -> None:
    """A repository that came from elsewhere can name any server in its config: the token isn't for that one."""
    home, token = tmp_path / "home", team.secrets["writer"]
    home.mkdir()
    names = {"ARTSTORE_TOKEN": token, "HOME": str(home)}
    assert run(tmp_path, "clone", team.url, "mine", **names).code == 0
    assert run(tmp_path / "mine", "pull", **names).code == 0, "by the name of the remote"
    came = tmp_path / "came"
    shutil.copytree(tmp_path / "mine", came)
    (home / ".config/artstore/servers").unlink()
    refused = run(came, "pull", **names)
    assert refused.code == 9 and "answers only with a token" in refused.err and token not in refused.err
    assert run(came, "remote", "add", "team", team.url, **names).code == 0
    assert run(came, "pull", "team", **names).code == 0
