"""Logs, settings and names that we would not have written, and what of them may reach a terminal or a path."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.changes import new_change
from artstore.domain.codec import encode_json
from artstore.domain.metadata import normalise
from artstore.domain.names import (
    check_alias,
    check_name,
    check_project,
    check_tags,
    check_type,
    file_name_of,
    parse_path,
    parse_spec,
)
from artstore.errors import DamagedLog, InvalidType, InvalidValue, UnsupportedFormat
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.forge import Forger, file, sealed, version_changes
from tests.support.trouble import run

ESCAPES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "\x1b[2J\r\t\u202egpj.exe"


def test_control_characters_in_names_are_stored_and_never_reach_a_terminal(
    repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    """Case 6: newline, tab, ESC and bidi controls come back as they were, and are escaped in every listing and error."""
    names = ["new\nline", "tab\there", "esc\x1b[31m", "bidi\u202egpj.exe", "del\x7f", "cr\rx"]
    source = make_tree(tmp_path / "src", {f"d\x1b[2J/{name}": name for name in names})
    cli("put", source, "--name", "data")
    cli("put", make_tree(tmp_path / "src2", {"other": ""}), "--name", "data")
    repo.get(repo.find("data:v0"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    make_tree(tmp_path / "out", {"d\x1b[2J/esc\x1b[31m": "changed", "extra\x1b": ""})
    (tmp_path / "src" / "d\x1b[2J" / "gone\x1b[1m").symlink_to("nowhere\x1b[1m")
    results = [
        cli("ls", "-r", "data:v0"), cli("ls", "data:v0"), cli("diff", "data:v0", "data:v1"), cli("verify", "data:v0", "out"),
        cli("put", source, "--name", "data"), cli("get", "data:v0", "--root", "out"), cli("ls", "data:v0", "x\x1b[31m"),
        cli("cat", "data:v0", "d\x1b[2J"), cli("ls", "data:v0", "--json", "-r"), cli("get", "data:v0", "--path-prefix", "\x1b"),
    ]  # fmt: skip
    for result in results:
        assert not ESCAPES.search(result.out + result.err), result
    assert results[0].out.count("\n") == len(names)
    assert "d\\x1b[2J/new\\x0aline" in results[0].out
    assert results[4].code == 8


@pytest.mark.damaged
def test_control_characters_in_a_forged_log_never_reach_a_terminal(repo: Repository, root: Path, cli: Cli) -> None:
    """Case 6: whatever text an entry holds, `ls`, `log`, `show`, `tag`, `alias` and `fsck` print none of its controls."""
    forge = Forger(root)
    tree = forge.tree(file(b"f"))
    forge.blob(b"")
    id = forge.version("x", tree)
    forge.entry(
        "x",
        new_change("tags", id=id, add=[EVIL], remove=[]),
        new_change("alias", alias=EVIL, id=id, old=None),
        new_change("description", id=id, old=None, new=EVIL, blob=None),
        new_change("metadata", id=id, set={EVIL: EVIL}, blobs={}, remove=[]),
        time=EVIL, user=EVIL, host=EVIL,
    )  # fmt: skip
    named, version = version_changes("y", id, tree)
    forge.entry("y", named | {"name": EVIL, "type": EVIL}, version | {"run": EVIL}, user=EVIL, host=EVIL)
    forge.entry("z", new_change(EVIL, id=id))
    (forge.folder("x") / EVIL).write_bytes(b"")
    for command in (
        ["ls"], ["log", "x"], ["log", "--aliases", "x"], ["show", "x"], ["alias", "x"], ["tag", "x"], ["fsck"],
        ["ls", "z"], ["ls", "y"], ["show", "y"], ["log", "y"], ["diff", "x", "x"], ["ls", "--json"], ["log", "--json", "x"],
    ):  # fmt: skip
        result = cli(*command)
        assert not ESCAPES.search(result.out + result.err), (command, result)


FEATURE = '{"artstore":1,"features":{"gc":%s,"read":%s,"write":%s},"id":"%s"}\n'


def _format(root: Path, gc: str = "[]", read: str = "[]", write: str = "[]") -> None:
    (root / "format").unlink()
    (root / "format").write_text(FEATURE % (gc, read, write, "0" * 32))


@pytest.mark.damaged
@pytest.mark.parametrize("operation", ["read", "write", "gc"])
def test_an_unknown_feature_refuses_the_operations_that_need_it_and_no_others(
    repo: Repository, root: Path, cli: Cli, tmp_path: Path, operation: str
) -> None:
    """Case 19: one may be able to read where one must not write or collect; the message names the feature."""
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    _format(root, **{operation: '["sparkles"]'})
    commands = {
        "read": [["get", "data", "--root", "new"], ["ls"], ["ls", "data"], ["show", "data"], ["log", "data"], ["cat", "data", "f"],
                 ["diff", "data", "data"], ["verify", "data", "out"], ["fsck"]],
        "write": [["put", "src", "--name", "data"], ["alias", "data", "a"], ["tag", "data", "t"], ["rm", "data:v0"], ["undelete", "data:v0"]],
        "gc": [["gc"], ["gc", "--now"], ["gc", "--dry-run"]],
    }  # fmt: skip
    for kind in (operation, *(k for k in ("read", "write", "gc") if k != operation)):
        for command in commands[kind]:
            result = cli(*command)
            if kind == operation:
                assert result.code == 10, (command, result)
                assert f"error: {root} uses 'sparkles', which this artstore does not know: it must not" in result.err
                assert result.err.endswith("hint: update artstore\n")
            elif not (operation == "read" or command[0] in ("undelete", "rm")):
                assert result.code == 0, (command, result)


@pytest.mark.damaged
@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "1", "null", "not JSON", "\x00" * 100, "[" * 100_000,
        FEATURE.replace("1", "2") % ("[]", "[]", "[]", "0" * 32),
        FEATURE.replace(":1,", ":true,") % ("[]", "[]", "[]", "0" * 32),
        FEATURE % ("[]", "[]", "[]", "0" * 32) + " ",
        FEATURE % ("[]", '"x"', "[]", "0" * 32), FEATURE % ("[]", "[[]]", "[]", "0" * 32), FEATURE % ("[]", "7", "[]", "0" * 32),
        FEATURE % ("[]", "[]", "[]", "../x"),
        '{"artstore":1,"features":{"gc":[],"read":[]},"id":"%s"}\n' % ("0" * 32),
        '{"artstore":1,"features":{"gc":[],"new":["x"],"read":[],"write":[]},"id":"%s"}\n' % ("0" * 32),
        '{"artstore":1,"extra":0,"features":{"gc":[],"read":[],"write":[]},"id":"%s"}\n' % ("0" * 32),
        '{"artstore":1,"features":{"gc":[],"read":[],"write":[]}}\n',
    ],
    ids=lambda text: text[:70] if len(text) < 1000 else "100,000 brackets",
)  # fmt: skip
def test_a_format_file_that_we_would_not_have_written_is_refused(
    root: Path, repo: Repository, cli: Cli, tmp_path: Path, text: str
) -> None:
    """Case 19, 20: other numbers, missing and unknown keys, wrong types."""
    (root / "format").unlink()
    (root / "format").write_text(text)
    with pytest.raises(UnsupportedFormat):
        Repository(str(root))


CHANGE = "0" * 32


def _bad_entries(forge: Forger) -> dict[str, bytes]:
    good = forge.value("data", new_change("tags", id=None, add=["t"], remove=[]))
    text = encode_json(good)
    without = {key: value for key, value in good.items() if key != "user"}
    return {
        "empty": b"", "torn": text[: len(text) // 2], "zeros": bytes(len(text)), "not JSON": b"\x80\x81", "a list": b"[]\n", "trailing": text + b"\n",
        "spaces": json.dumps(good, sort_keys=True).encode() + b"\n", "unsorted": json.dumps(dict(sorted(good.items(), reverse=True)), separators=(",", ":")).encode() + b"\n",
        "key twice": text.replace(b'"host":null', b'"host":null,"host":null'), "NaN": text.replace(b'"host":null', b'"host":NaN'),
        "extra key": encode_json(sealed(good | {"extra": 1})), "extra x- key": encode_json(sealed(good | {"x-mine": 1})), "missing key": encode_json(without),
        "wrong number": encode_json(sealed(good | {"number": 7})), "number true": encode_json(sealed(good | {"number": 2.0})), "wrong prev": encode_json(sealed(good | {"prev": "0" * 64})),
        "no prev": encode_json(sealed(good | {"prev": None})), "changes no list": encode_json(sealed(good | {"changes": {}})), "change no dict": encode_json(sealed(good | {"changes": [1]})),
        "user a number": encode_json(sealed(good | {"user": 5})), "100,000 brackets": b"[" * 100_000, "huge number": text.replace(b'"host":null', b'"host":' + b"9" * 5000),
    }  # fmt: skip


def test_entries_that_we_would_not_have_written_are_damage_and_nothing_is_appended(
    repo: Repository, root: Path, cli: Cli, tmp_path: Path
) -> None:
    """Case 15, 16, 20: reading says so with exit code 7, a save is refused, gc stops, and the log is as it was."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    repo.put(str(source), "data")
    forge = Forger(root)
    for what, data in _bad_entries(forge).items():
        path = forge.raw_entry("data", data)
        with pytest.raises(DamagedLog) as error:
            repo.find("data")
        assert str(error.value).startswith(("entry 2 of refs/local/uncategorized/data ",)), what
        assert (
            error.value.hint
            == "this log was damaged or partly copied: nothing will be appended to it; restore its folder from a copy"
        )
        with pytest.raises(DamagedLog):
            repo.put(str(make_tree(tmp_path / "src", {"f": what})), "data")
        with pytest.raises(DamagedLog):
            repo.gc(now=True)
        assert repo.fsck().problems, what
        assert sorted(os.listdir(path.parent)) == ["00000001.json", "00000002.json"]
        path.unlink()
    assert cli("get", "data").code == 0


def _bad_changes(id: str) -> dict[str, dict[str, Any]]:
    def change(kind: str, **fields: Any) -> dict[str, Any]:
        return {"change": CHANGE, "kind": kind, **fields}

    version = {
        "id": "a" * 64,
        "number": 5,
        "digest": "b" * 64,
        "size": 0,
        "files": 0,
        "created": 0,
        "run": None,
        "parents": [],
    }
    named = {"entity": "local", "project": "uncategorized", "name": "data", "type": "artifact"}
    forged = {f"version {key} {value!r}": change("version", **(version | {key: value}))
              for key, value in [("id", "../../x"), ("id", "A" * 64), ("id", "a" * 63), ("id", None), ("id", id), ("number", -1), ("number", 0), ("number", True),
                                 ("number", "6"), ("number", 1.5), ("digest", "../" * 20), ("digest", 7), ("size", -1), ("size", "big"), ("size", 1 << 64), ("files", None),
                                 ("created", "now"), ("created", -1), ("run", 5), ("extra", 1)]}  # fmt: skip
    forged |= {f"collection {key} {value!r}": change("collection", **(named | {key: value}))
               for key, value in [("name", "../x"), ("name", 5), ("name", "\ud800"), ("name", ".."), ("name", "other"), ("entity", "a/b"), ("project", ""), ("type", 7), ("type", None)]}  # fmt: skip
    return forged | {
        "alias a number": change("alias", alias=5, id=id, old=None), "alias v3": change("alias", alias="v3", id=id, old=None),
        "alias latest": change("alias", alias="latest", id=id, old=None), "alias a/b": change("alias", alias="a/b", id=id, old=None),
        "alias id": change("alias", alias="ok", id=5, old=None), "tags text": change("tags", id=id, add="abc", remove=[]),
        "tags numbers": change("tags", id=id, add=[1], remove=[]), "tags of nobody": change("tags", id="c" * 64, add=["t"], remove=[]),
        "metadata list": change("metadata", id=id, set=[1], blobs={}, remove=[]), "metadata blob": change("metadata", id=id, set={}, blobs={"k": "../x"}, remove=[]),
        "description number": change("description", id=id, old=None, new=5, blob=None), "description blob": change("description", id=id, old=None, new=None, blob="x"),
        **{f"extras {what}": change("extras", **({"id": id, "entries": {}, "blob": None} | wrong)) for what, wrong in {
            "of nobody": {"id": "c" * 64}, "of all": {"id": None}, "list": {"entries": [1]}, "text": {"entries": {"f": "k"}}, "empty": {"entries": {"f": {}}},
            "many": {"entries": {"f": {str(n): n for n in range(101)}}}, "torn": {"entries": {"f": {"\ud800": 1}}}, "blob": {"blob": "../x"}}.items()},
        "part extras of nobody": change("part extras", upsert="u", tree="c" * 64, blob=None), "part extras blob": change("part extras", upsert="u", tree="c" * 64, blob="x"),
        "delete nobody": change("delete", id="c" * 64, reason=None), "delete collection text": change("delete collection", ids="abc"),
        "moved from self": change("moved from", entity="local", project="uncategorized", name="data", number=1, digest="0" * 64),
        "moved from up": change("moved from", entity="..", project="..", name="..", number=1, digest="0" * 64), "moved to self": change("moved to", entity="local", project="uncategorized", name="data"),
        "moved to up": change("moved to", entity="..", project="..", name="x"),
    }  # fmt: skip


def test_changes_that_contradict_the_log_are_damage_in_every_command(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 13, 16, 20, 23: fields of the wrong type, ids that are paths, numbers in use; no foreign exception escapes, fsck reports."""
    saved = repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    forge = Forger(root)
    unreported, escaped = [], []
    for what, change in _bad_changes(saved.id).items():
        path = forge.entry("data", change)
        try:
            if not repo.fsck().problems and not what.startswith("moved from"):  # which is void without its other half
                unreported.append(what)
        except Exception as error:
            escaped.append(f"fsck: {what}: {error!r}")
        for command in (["ls"], ["log", "data"], ["show", "data"], ["gc", "--dry-run"]):
            if message := _escapes(tmp_path, command, str(root)):
                escaped.append(f"{command[0]}: {what}: {message}")
        path.unlink()
    assert (unreported, escaped) == ([], [])


def _escapes(tmp_path: Path, command: list[str], root: str) -> str | None:
    """The foreign exception that a command ends with, run in this process (a new one costs 0.1 s)."""
    from artstore.cli import cli
    from artstore.errors import ArtstoreError

    old = os.environ.get("ARTSTORE_DIR")
    os.environ["ARTSTORE_DIR"] = root
    try:
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(command, standalone_mode=False)
    except ArtstoreError:
        return None
    except Exception as error:
        return repr(error)
    finally:
        if old is None:
            del os.environ["ARTSTORE_DIR"]
        else:
            os.environ["ARTSTORE_DIR"] = old
    return None


@pytest.mark.damaged
def test_a_change_of_unknown_kind_asks_for_a_newer_artstore(
    repo: Repository, root: Path, cli: Cli, tmp_path: Path
) -> None:
    """Case 19: exit code 10, naming the kind; other collections are as before, and gc stops."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    repo.put(str(source), "data")
    repo.put(str(source), "other")
    Forger(root).entry("data", new_change("teleport", id=None))
    result = cli("get", "data")
    assert (result.code, result.err) == (
        10,
        "error: local/uncategorized/data has a change of kind 'teleport', which this artstore does not know\nhint: update artstore\n",
    )
    assert cli("put", source, "--name", "data").code == 10
    assert cli("gc").code == 10
    assert cli("get", "other").code == 0


def test_nothing_in_the_settings_can_make_a_command_run(repo: Repository, root: Path, cli: Cli, tmp_path: Path) -> None:
    """Case 21: keys by which other tools run commands, hooks and remotes are inert here."""
    ran = tmp_path / "ran"
    command = f"touch {ran}"
    keys = "fsmonitor editor pager sshCommand hooksPath askpass gitProxy command hook automation webhook on_save"
    body = "".join(f"{key} = {command}\n" for key in keys.split())
    sections = ("core", "alias", 'filter "x"', 'remote "nas"', "hooks", "automation", "include")
    (root / "config").write_text(
        "".join(f"[{section}]\n{body}url = ext::{command}\npath = {tmp_path}/other\n" for section in sections)
    )
    hooks = make_tree(
        root / "hooks", {f"{name}*": f"#!/bin/sh\n{command}\n" for name in ("pre-put", "post-put", "post-checkout")}
    )
    assert hooks.is_dir()
    source = make_tree(tmp_path / "src", {"f": "1"})
    for args in (
        ["put", source, "--name", "data"],
        ["get", "data"],
        ["ls"],
        ["alias", "data", "x"],
        ["fsck"],
        ["gc", "--now"],
    ):
        assert cli(*args).code == 0
    assert not ran.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"no section\n", "is not a valid settings file: File contains no section headers."),
        (b"[core]\nproject = a/b\n", "project 'a/b' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones"),
        (b"[core]\nentity = ..\n", "entity '..' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones"),
        (b"[gc]\ngrace = soon\n", "config: 'soon' is not a time such as 12h or 7d"),
        (b"[gc]\ngrace = -5d\n", "config: '-5d' is not a time such as 12h or 7d"),
        (b"[gc]\ngrace = nand\n", "config: 'nand' is not a time such as 12h or 7d"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_by_name(
    repo: Repository, root: Path, cli: Cli, data: bytes, message: str
) -> None:
    """Case 21: exit code 3; a grace period below zero or NaN would collect what is being saved."""
    (root / "config").write_bytes(data)
    result = cli("gc" if b"gc" in data else "show", *([] if b"gc" in data else ["data"]))
    (root / "config").unlink()
    assert result.code == 3 and message in result.err, result


@pytest.mark.parametrize("name", ["config", "format"])
def test_a_fifo_in_place_of_a_file_of_the_repository_hangs_nobody(
    repo: Repository, root: Path, tmp_path: Path, name: str
) -> None:
    """Case 21: whoever unpacks a project may find one; the command ends with exit code 9 and says what it is."""
    original = (root / name).read_bytes() if (root / name).exists() else None
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    try:
        result = run(tmp_path, "ls", timeout=60, ARTSTORE_DIR=str(root))
        assert result.code in (4, 9), result
    finally:
        (root / name).unlink()
        if original is not None:
            (root / name).write_bytes(original)


def test_user_data_is_never_unpickled(repo: Repository, tmp_path: Path) -> None:
    """Case 22: metadata is plain values or refused; a pickle is bytes like any other; the package names no pickle, marshal or eval."""

    class Runs:
        def __reduce__(self) -> Any:
            raise AssertionError("pickled")

    with pytest.raises(InvalidType, match=r"^metadata 'k\[0\]' is of type .*Runs, which has no JSON form"):
        normalise({"k": [Runs()]})
    pickle = b"cos\nsystem\n(S'touch ran'\ntR."
    repo.put(str(make_tree(tmp_path / "src", {"model.pkl": pickle})), "data", metadata={"text": pickle.decode()})
    found = repo.find("data")
    assert repo.properties(found)[1] == {"text": pickle.decode()}
    assert b"".join(repo.content(repo.entry(found, "model.pkl"))) == pickle
    package = Path(__file__).parents[3] / "artstore"
    for source in package.rglob("*.py"):
        assert not re.search(
            r"\b(?<!copyreg\.)(pickle|marshal|shelve)\b|\byaml\.(?!__with_libyaml__|C?SafeLoader\b|parse\(|load\(data, Loader=loader\)|\w+Event\b|YAMLError\b)"
            r"|\b(eval|exec)\(",
            source.read_text(),
        ), source


TOO_LONG = "n" * 300
REFUSED = [
    "",
    ".",
    "..",
    "a/../../b",
    "../x",
    "a\\b",
    "C:\\x",
    "a:b",
    "a\0b",
    "a\nb",
    "a\x1bb",
    " a",
    "a ",
    "a  b",
    TOO_LONG,
    "a@b",
    "Ж" * 60,
    "\ud800",
    "a\u202eb",
]


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_names_that_could_leave_their_folder_are_refused(name: str) -> None:
    """Case 23: artifact names and types by one grammar, with the rule in the message."""
    for check in (check_name, check_type):
        with pytest.raises(InvalidValue) as error:
            check(name)
        assert not ESCAPES.search(str(error.value)) and "is not allowed" in str(error.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a#b", "a?b", "a%2Fb", "a:b", "a\0b", "a\nb", TOO_LONG, "\ud800"], ids=ascii
)
def test_projects_entities_and_run_ids_have_their_own_rule(name: str) -> None:
    """Case 23."""
    with pytest.raises(InvalidValue, match="is not allowed"):
        check_project(name)


def test_text_that_no_file_name_can_hold_is_refused_as_a_path() -> None:
    """Case 5, 76: lone surrogates other than those that stand for bytes, as JSON and Windows may bring them."""
    for path in ("\ud800", "a/\udfff"):
        with pytest.raises(InvalidValue, match="^Invalid artifact path"):
            parse_path(path)


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "v3",
        "v0",
        "a" * 64,
        "0123456789abcdef" * 4,
        "a/b",
        "../x",
        "a:b",
        "a@b",
        "x" * 129,
        "a\nb",
        "a\x1b",
        "\ud800",
    ],
    ids=ascii,
)
def test_aliases_that_read_like_something_else_are_refused(repo: Repository, tmp_path: Path, alias: str) -> None:
    """Case 23: like a number, a digest or a path; before anything is written."""
    with pytest.raises(InvalidValue, match="^(alias |Aliases must not contain)"):
        check_alias(alias)
    with pytest.raises(InvalidValue, match="^(alias |Aliases must not contain)"):
        repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data", aliases=(alias,))
    assert list(repo.collections()) == []


def test_names_that_file_systems_treat_specially_are_stored_under_safe_file_names(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 23, 78: Windows devices, trailing dots, `.lock` and percent signs; names that differ only in case are one log and refused."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    expected = {"CON": "%63on", "nul.txt": "%6Eul.txt", "com1": "%63om1", "LPT¹": "%6Cpt%C2%B9", "aux.": "%61ux%2E", "a.": "a%2E", ".hidden": "%2Ehidden",
                "x.lock": "x.lock", "00000001.json": "00000001.json", "Best": "best", "a b": "a%20b", "Straße": "strasse", "...": "%2E.%2E"}  # fmt: skip
    for name, file_name in expected.items():
        assert file_name_of(name) == file_name
        repo.put(str(source), name)
        assert repo.find(name).state.path.name == name
    assert set(os.listdir(root / "refs/local/uncategorized")) == set(expected.values())
    with pytest.raises(
        Exception, match="^local/uncategorized/best differs only in case from local/uncategorized/Best, which exists\n"
    ):
        repo.put(str(source), "best")


@pytest.mark.parametrize(
    "text",
    ["a/b/c/d", "a@xyz", "a@abc", "n:a:b", "n@ABCD", "../n", "a/../n", "n:../x", "/n", "n/", "", "n:"],
    ids=ascii,
)
def test_specs_that_name_no_place_are_refused(text: str) -> None:
    """Case 23: the one parser of specs refuses what climbs, is empty, or has too many parts."""
    with pytest.raises(InvalidValue):
        parse_spec(text)


def test_tags_are_words(repo: Repository) -> None:
    """Case 23."""
    for tag in ("", " a", "a  b", "a/b", "a\n", "\x1b", "x" * 129):
        with pytest.raises(InvalidValue, match=r"^(tag |Invalid tag\(s\): )"):
            check_tags([tag])
