"""Tokens of a served repository: given out once, found by their secret, ended at once, and kept where nobody else reads."""

import json
import os
import re
import stat
import threading
import time
from pathlib import Path

import pytest

from artstore.backends.storage import FolderStorage
from artstore.domain.roles import Grant, Role
from artstore.errors import ArtstoreError, Conflict, InvalidValue, NotFound, Refused
from artstore.repository import Repository
from artstore.server.folder import make_server_folder, server_folder
from artstore.server.tokens import SECRET, Token, Tokens
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.processes import together
from tests.support.trouble import at_call, start

YEAR = 366 * 86400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".artifacts.server"


@pytest.fixture
def tokens(folder: Path) -> Tokens:
    return Tokens(str(folder))


def file_of(folder: Path) -> Path:
    return folder / "tokens.json"


# -- giving out, finding, ending -----------------------------------------------------------------


def test_a_token_is_found_by_its_secret_and_says_who_may_do_what_where(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.WRITER, ("local/vision-*",), 3600, "nightly builds")
    assert SECRET.fullmatch(secret)
    (token,) = tokens.all()
    assert tokens.find(secret) == Tokens(str(folder)).find(secret) == token
    assert (token.name, token.grant, token.note) == ("ci", Grant(Role.WRITER, ("local/vision-*",)), "nightly builds")
    assert token.status() == "active" and token.expires is not None and token.created < token.expires
    assert secret.startswith(f"art_{token.id}_")


def test_only_the_digest_of_a_secret_is_kept(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.READER)
    for path in folder.rglob("*"):
        assert path.is_dir() or secret.split("_", 2)[2].encode() not in path.read_bytes()


def test_two_secrets_have_nothing_in_common() -> None:
    import secrets

    assert len({secrets.token_urlsafe(32) for _ in range(100)}) == 100 and len(secrets.token_urlsafe(32)) == 43


def test_whatever_is_not_exactly_the_secret_is_refused(tokens: Tokens) -> None:
    secret = tokens.create("ci", Role.ADMIN)
    other = tokens.create("ada", Role.READER)
    mixed = f"{secret[:13]}{other[13:]}"
    for wrong in (
        secret[:-1],
        f"{secret}a",
        secret.upper(),
        f" {secret}",
        f"{secret}\n",
        mixed,
        "",
        "art_",
        "\udc80",
        "x" * 9999,
    ):
        assert tokens.find(wrong) is None
    assert tokens.find(secret) is not None


def test_a_revoked_token_is_refused_by_the_next_request_of_every_process(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.WRITER)
    server = Tokens(str(folder))
    assert server.find(secret) is not None
    assert together(_revoke, [(str(folder), "ci")]) == ["revoked"]
    assert server.find(secret) is None
    assert [token.status() for token in server.all()] == ["revoked"]


def _revoke(folder: str, name: str) -> str:
    return Tokens(folder).revoke(name).status()


def test_each_of_many_quick_changes_is_seen_whatever_the_clock_and_inodes_are(tokens: Tokens, folder: Path) -> None:
    """Files that replace each other within a tick of the clock can have the same times, sizes and inodes."""
    server = Tokens(str(folder))
    for _ in range(200):
        secret = tokens.create("ci", Role.READER)
        assert server.find(secret) is not None
        tokens.revoke("ci")
        assert server.find(secret) is None


def test_an_expired_token_is_refused_and_its_name_can_get_another(tokens: Tokens) -> None:
    secret = tokens.create("ci", Role.WRITER, expires=1)
    while tokens.find(secret) is not None:
        time.sleep(0.1)
    assert [token.status() for token in tokens.all()] == ["expired"]
    again = tokens.create("ci", Role.WRITER)
    assert tokens.find(again) is not None and tokens.find(secret) is None
    with pytest.raises(Conflict, match="^token 'ci' is active"):
        tokens.create("ci", Role.READER)


def test_when_the_file_is_gone_nobody_is_let_in(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.ADMIN)
    assert tokens.find(secret) is not None
    file_of(folder).unlink()
    assert tokens.find(secret) is None and tokens.all() == []


def test_a_name_ends_only_what_it_names(tokens: Tokens) -> None:
    kept, ended = tokens.create("ada", Role.READER), tokens.create("ci", Role.READER)
    tokens.revoke("ci")
    assert tokens.find(kept) is not None and tokens.find(ended) is None
    with pytest.raises(NotFound, match="^token 'ci' has been revoked already"):
        tokens.revoke("ci")
    with pytest.raises(NotFound, match="^there is no token 'adda'") as error:
        tokens.revoke("adda")
    assert error.value.hint == "did you mean 'ada'?"


@pytest.mark.parametrize("name", ["", "-rf", "a b", "jürgen", "а", "a\n", "a/b", "x" * 65, ".a", "a\x1b[31m"])
def test_a_name_is_plain_letters_that_nobody_can_imitate(tokens: Tokens, name: str) -> None:
    with pytest.raises(InvalidValue, match="^token name '.*' is not allowed: 1 to 64 ASCII letters"):
        tokens.create(name, Role.READER)


def test_names_that_differ_by_case_are_not_two_authors(tokens: Tokens) -> None:
    tokens.create("ada@example.org", Role.READER)
    tokens.revoke("ada@example.org")
    with pytest.raises(Conflict, match="^token 'Ada@example.org' would look like 'ada@example.org'"):
        tokens.create("Ada@example.org", Role.READER)


@pytest.mark.parametrize("expires", [0, -1, 101 * YEAR, float("inf"), float("nan")])
def test_a_token_lives_for_a_time_that_can_be_written_down(tokens: Tokens, expires: float) -> None:
    with pytest.raises(InvalidValue, match="at most a hundred years"):
        tokens.create("ci", Role.READER, expires=expires)


def test_a_note_is_one_short_line(tokens: Tokens) -> None:
    for note in ("two\nlines", "\x1b]0;title", "x" * 1001):
        with pytest.raises(InvalidValue, match="^a note of a token is one line of at most 1000 characters"):
            tokens.create("ci", Role.READER, note=note)
    with pytest.raises(InvalidValue):
        tokens.create("ci", Role.READER, ("no/pattern/of/projects",))
    assert tokens.all() == []


# -- who may give out what -----------------------------------------------------------------------


def test_nobody_gives_out_or_ends_what_is_wider_than_their_own(tokens: Tokens) -> None:
    tokens.create("root", Role.ADMIN)
    maker = Grant(Role.ADMIN, ("team/vision-*",))
    tokens.create("narrow", Role.ADMIN, ("team/vision-a", "team/vision-b*"), maker=maker)
    for projects in ((), ("team/*",), ("team/vision-a", "team/text"), ("*/vision-a",)):
        with pytest.raises(Refused, match="^token 'wide' would allow more than you may"):
            tokens.create("wide", Role.VIEWER, projects, maker=maker)
    with pytest.raises(Refused, match="^token 'root' allows more than you may"):
        tokens.revoke("root", maker=maker)
    tokens.revoke("narrow", maker=maker)
    for role in (Role.VIEWER, Role.READER, Role.WRITER, Role.PROMOTER):
        with pytest.raises(Refused):
            tokens.create("peer", Role.VIEWER, maker=Grant(role))


def test_the_last_admin_is_not_revoked_even_if_an_admin_of_fewer_projects_is_left(tokens: Tokens) -> None:
    tokens.create("root", Role.ADMIN)
    tokens.create("local", Role.ADMIN, ("team/*",))
    tokens.create("short", Role.ADMIN)
    tokens.revoke("short")
    with pytest.raises(Refused, match="^token 'root' is the last admin of its projects"):
        tokens.revoke("root")
    tokens.revoke("local")
    tokens.create("second", Role.ADMIN)
    tokens.revoke("root")


# -- the file ------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_read_the_folder_or_a_file_in_it_whatever_the_umask_is(tokens: Tokens, folder: Path) -> None:
    before = os.umask(0)
    try:
        tokens.create("ci", Role.READER)
    finally:
        os.umask(before)
    assert mode_of(folder) == 0o700
    assert {path.name: mode_of(path) for path in folder.iterdir() if path.name != ".gitignore"} == {
        "tokens.json": 0o600, "tokens.json.lock": 0o600,
    }  # fmt: skip
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_folder_or_file_that_others_could_have_written_lets_nobody_in(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.READER)
    for path, mode in ((folder, 0o750), (file_of(folder), 0o640), (file_of(folder), 0o602)):
        right = mode_of(path)
        path.chmod(mode)
        with pytest.raises(InvalidValue, match="must be yours alone") as error:
            Tokens(str(folder)).find(secret)
        assert error.value.hint is not None and "chmod" in error.value.hint
        path.chmod(right)
    assert Tokens(str(folder)).find(secret) is not None


def test_a_mode_that_is_loosened_while_the_server_runs_is_noticed(tokens: Tokens, folder: Path) -> None:
    secret = tokens.create("ci", Role.READER)
    assert tokens.find(secret) is not None
    file_of(folder).chmod(0o666)
    with pytest.raises(InvalidValue, match="must be yours alone"):
        tokens.find(secret)


def test_a_link_in_place_of_the_file_or_folder_is_not_followed(tmp_path: Path, folder: Path) -> None:
    secret = Tokens(str(tmp_path / "mine")).create("ci", Role.ADMIN)
    folder.symlink_to(tmp_path / "mine")
    with pytest.raises(InvalidValue, match="must be yours alone"):
        Tokens(str(folder)).find(secret)
    folder.unlink()
    make_server_folder(str(folder))
    file_of(folder).symlink_to(tmp_path / "mine/tokens.json")
    with pytest.raises(ArtstoreError):
        Tokens(str(folder)).find(secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"reader"', '"owner"'),
        lambda text: text.replace("local/p", "local"),
        lambda text: text.replace("local/p", "local/p/q"),
        lambda text: text.replace('["local/p"]', '"ab"'),
        lambda text: text.replace('"revoked"', '"forgotten"'),
        lambda text: text.replace('"expires": null', '"expires": "never"'),
        lambda text: text.replace('"expires": null', '"expires": 9'),
        lambda text: re.sub(r'"digest": "[0-9a-f]+"', '"digest": ""', text),
        lambda text: text.replace('"note": ""', '"note": []'),
        lambda text: text.replace('"name": "ci"', '"name": "c i"'),
    ],
)  # fmt: skip
def test_a_file_that_we_would_not_have_written_lets_nobody_in(tokens: Tokens, folder: Path, change: object) -> None:
    secret = tokens.create("ci", Role.READER, ("local/p",))
    text = file_of(folder).read_text().replace('["local/p"]', '["local/p"]')
    text = json.dumps(json.loads(text))
    changed = change(text)  # type: ignore[operator]
    assert changed != text
    file_of(folder).write_text(changed)
    with pytest.raises(InvalidValue, match="is not a file of tokens, so nobody is let in"):
        tokens.find(secret)


def test_processes_that_give_out_tokens_at_one_moment_lose_none(folder: Path) -> None:
    secrets = together(_create, [(str(folder), f"ci-{n}") for n in range(6)])
    tokens = Tokens(str(folder))
    assert sorted(_found(tokens, secret).name for secret in secrets) == [f"ci-{n}" for n in range(6)]
    raced = together(_create, [(str(folder), "same") for _ in range(4)])
    assert sum(isinstance(found, str) for found in raced) == 1
    assert sum(isinstance(found, Conflict) for found in raced) == 3


def _create(folder: str, name: str) -> str:
    return Tokens(folder).create(name, Role.READER)


def _found(tokens: Tokens, secret: str) -> Token:
    found = tokens.find(secret)
    assert found is not None
    return found


def test_what_a_killed_process_left_half_written_goes_with_the_next_change(tmp_path: Path) -> None:
    folder = tmp_path / ".artifacts.server"
    Repository.init(str(tmp_path / ".artifacts")).close()
    kill = at_call("replace", 1, "os.kill(os.getpid(), signal.SIGKILL)", "'tokens.json' in str(args[0])")
    process = start(tmp_path, "token", "create", "lost", "--role", "reader", setup=kill)
    process.communicate()
    assert process.returncode == -9 and len(list(folder.glob("tokens.json.*"))) == 2
    tokens = Tokens(str(folder))
    tokens.create("kept", Role.READER)
    assert [token.name for token in tokens.all()] == ["kept"]
    assert {path.name for path in folder.iterdir()} == {".gitignore", "tokens.json", "tokens.json.lock"}


def test_threads_that_ask_while_tokens_change_get_right_answers(tokens: Tokens, folder: Path) -> None:
    stays, server = tokens.create("stays", Role.READER), Tokens(str(folder))
    wrong, done = list[str](), threading.Event()

    def ask() -> None:
        while not done.is_set():
            if server.find(stays) is None or server.find("art_00000000_" + "a" * 43) is not None:
                wrong.append("wrong")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        tokens.create("goes", Role.READER)
        tokens.revoke("goes")
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- where the folder is, and who leaves it out --------------------------------------------------


def test_the_folder_is_beside_the_repository_however_its_path_is_written(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.storage.root)
    expected = f"{os.path.realpath(repo.storage.root)}.server"
    assert server_folder(repo.storage) == server_folder(FolderStorage(str(tmp_path / "link"))) == expected


def test_the_folder_is_in_no_save_clone_bundle_or_export(repo: Repository, tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "work", {"f": "1"})
    Tokens(server_folder(repo.storage)).create("ci", Role.ADMIN)
    done = repo.put(str(tmp_path), "all")
    assert os.path.basename(server_folder(repo.storage)) in done.left_out
    clone = Repository.clone(repo.storage.root, str(tmp_path / "clone"))[0]
    clone.close()
    assert cli("export", "all", "-o", "all.tar").code == cli("bundle", "create", "all.bundle", "all").code == 0
    repo.get(repo.find("all"), str(tmp_path / "restored"))
    found = [*snapshot(tmp_path / "clone"), *snapshot(tmp_path / "restored")]
    assert [path for path in found if "tokens" in str(path) or ".server" in str(path)] == []
    assert not any(b"tokens.json" in (tmp_path / name).read_bytes() for name in ("all.tar", "all.bundle"))


def test_a_served_repository_of_another_name_keeps_its_folder_out_of_saves_too(tmp_path: Path) -> None:
    with Repository.init(str(tmp_path / "here/store")) as repository:
        Tokens(server_folder(repository.storage)).create("ci", Role.ADMIN)
        make_tree(tmp_path / "here/data", {"f": "1"})
        repository.put(str(tmp_path / "here"), "all")
        assert {path for path, _ in repository.walk(repository.find("all").tree)} == {b"data", b"data/f"}


def test_no_version_brings_a_folder_of_tokens_into_a_project(repo: Repository, tmp_path: Path) -> None:
    with repo.draft() as draft, pytest.raises(InvalidValue, match="is in a protected folder"):
        draft.add_bytes(b"{}", ".artifacts.server/tokens.json")
