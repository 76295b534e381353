"""Imports from folders that somebody else made: what leads out of them is not read, and no file costs endless time."""

import itertools
import json
import os
import sqlite3
import subprocess
import time
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from artstore.adapters.confining import Source
from artstore.adapters.mlflow_database import DatabaseStore
from artstore.adapters.wandb_offline import _set
from artstore.domain.plain import loaded, settings_of
from artstore.errors import Damage, SourceError
from artstore.operations.saving.draft import Draft
from artstore.repository import Repository
from tests.adapters.test_imports import imported, unpacked
from tests.support.commands import Cli
from tests.support.folders import make_tree


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "secret", {"key": "secret", "deep/key": "secret"})


@pytest.mark.parametrize("link", ["p", "deep/p", "folder"])
def test_a_link_in_a_downloaded_artifact_of_wandb_is_not_followed(
    repo: Repository, cli: Cli, tmp_path: Path, secret: Path, link: str
) -> None:
    place = make_tree(tmp_path / "artifacts", {"x:v1/a": "1", "x:v1/deep/b": "2", "good:v0/a": "1"}) / "x:v1"
    (place / link).symlink_to(secret if link == "folder" else secret / "key")
    (place / "inside").symlink_to("deep")
    taken, left = imported(cli, "wandb", "artifacts")
    assert list(taken) == ["artifacts/good:v0"] and "leads out of" in left["artifacts/x:v1"]
    (place / link).unlink()
    assert "artifacts/x:v1" in imported(cli, "wandb", "artifacts")[0], "a link inside is followed"


def test_a_downloaded_artifact_of_wandb_that_is_a_link_itself_is_not_followed(
    cli: Cli, tmp_path: Path, secret: Path
) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/x:v1").symlink_to(secret)
    taken, left = imported(cli, "wandb", "artifacts")
    assert taken == {} and "leads out of" in left["artifacts/x:v1"]


@pytest.mark.parametrize("inner", ["params", "tags", "metrics", "artifacts", "artifacts/deep", "artifacts/p"])
def test_a_link_in_a_run_of_mlflow_is_not_followed(
    repo: Repository, cli: Cli, tmp_path: Path, secret: Path, inner: str
) -> None:
    mlruns = unpacked("mlflow", tmp_path) / "mlruns"
    run = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: good" in path.read_text()).parent
    if (run / inner).exists():
        (run / inner).rename(tmp_path / "moved")
    (run / inner).symlink_to(secret if not inner.endswith("p") else secret / "key")
    taken, left = imported(cli, "mlflow", "mlflow")
    assert "run bad" in taken and any("leads out of" in reason for reason in left.values())
    assert not any("secret" in json.dumps(state.config) + str(state.tags) for state in repo.runs.all())
    assert not any(str(path).startswith("local/digits-first/good") for path in repo.refs.paths())


def test_a_folder_of_mlflow_that_is_a_link_is_not_read(cli: Cli, tmp_path: Path) -> None:
    mlruns = unpacked("mlflow", tmp_path) / "mlruns"
    place = next(path.parent for path in mlruns.glob("*/meta.yaml") if "digits" in path.read_text())
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    taken, left = imported(cli, "mlflow", "mlflow")
    assert not any(source.startswith("run ") for source in taken) and "leads out of" in left[f"experiment {place.name}"]


@pytest.fixture
def dvc(tmp_path: Path) -> Path:
    """A repository of DVC without git, whose cache is elsewhere."""
    digest = md5(b"x").hexdigest()
    make_tree(tmp_path / "cache", {f"files/md5/{digest[:2]}/{digest[2:]}": "x"})
    return make_tree(
        tmp_path / "dvc", {".dvc/config": "", "x.dvc": f"outs:\n- path: x\n  md5: {digest}\n  hash: md5\n"}
    )


@pytest.mark.parametrize("way", ["config", "config.local", "relative", "link"])
def test_a_cache_of_dvc_elsewhere_is_read_only_if_it_is_named(dvc: Path, cli: Cli, tmp_path: Path, way: str) -> None:
    if way == "link":
        (dvc / ".dvc/cache").symlink_to(tmp_path / "cache")
    else:
        name = way if way.startswith("config") else "config"
        place = "../../cache" if way == "relative" else tmp_path / "cache"
        (dvc / ".dvc" / name).write_text(f"[cache]\n    dir = {place}\n")
    taken, left = imported(cli, "dvc", "dvc")
    assert taken == {} and len(left) == 2
    hint = next(reason for source, reason in left.items() if source.startswith("the cache")).split("`")[1].split()
    assert hint == ["--cache", str(tmp_path / "cache")]
    assert list(imported(cli, "dvc", "dvc", *hint)[0]) == ["x at the working folder"]


@pytest.mark.parametrize("way", ["file", "link", "alternates", "commondir", "objects"])
def test_a_git_folder_that_leads_elsewhere_is_not_read_and_the_hint_works(cli: Cli, tmp_path: Path, way: str) -> None:
    place = unpacked("dvc", tmp_path)
    git, other = place / ".git", tmp_path / "other.git"
    if way in ("file", "link"):
        git.rename(other)
    if way == "file":
        git.write_text(f"gitdir: {other}\n")
    elif way == "link":
        git.symlink_to(other)
    elif way == "alternates":
        (git / "objects").rename(other)
        make_tree(git / "objects", {"info/alternates": f"{other}\n"})
    elif way == "commondir":
        subprocess.run(["cp", "-r", git, other], check=True)
        (git / "commondir").write_text(f"{other}\n")
    else:
        (git / "objects").rename(other)
        (git / "objects").symlink_to(other)
    done = cli("import", "dvc", "dvc")
    assert done.code == 6 and "dvc/.git leads to another folder, so it is not read" in done.err, done
    if way in ("file", "link"):
        steps = done.err.split("`")[1::2]
        subprocess.run(["git", *steps[0].split()[1:]], cwd=tmp_path, check=True, capture_output=True)
        assert len(imported(cli, *steps[1].split()[2:])[0]) == 5


def test_an_import_of_nothing_is_an_error(dvc: Path, cli: Cli) -> None:
    done = cli("import", "dvc", "dvc")
    assert done.code == 4 and "imported 0 versions and 0 runs; 0 already here, 1 skipped" in done.out
    assert done.err == "error: nothing in dvc could be imported\nhint: `dvc fetch --all-tags` fills DVC's cache\n"
    (dvc / "x.dvc").unlink()
    assert cli("import", "dvc", "dvc").err == "error: nothing in dvc could be imported\n"
    assert json.loads(cli("import", "dvc", "dvc", "--json").out) == {"taken": [], "left": []}


def bomb(step: str) -> str:
    """A YAML file of 400 bytes that unfolds to 9**12 values."""
    letters = "abcdefghijklm"
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]" if "[" in step[:1] else "a: &a {x: 1}"]
    lines += [f"{b}: &{b} {step.format(','.join([f'*{a}'] * 9))}" for a, b in itertools.pairwise(letters)]
    return "\n".join(lines) + "\n"


HOSTILE = {
    "aliases": bomb("[{}]"), "merges": bomb("{{<<: [{}]}}"), "itself": "a: &a [*a]\n", "deep": "[" * 100_000,
    "deeper": "".join(" " * n + "a:\n" for n in range(1000)), "sixty": "a: " + "1:" * 200_000 + "1\n",
    "number": "a: " + "1" * 1_000_000 + "\n", "long": "- a\n" * 3_000_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_yaml_file_that_unfolds_without_end_is_refused_before_a_value_is_made(kind: str) -> None:
    start = time.process_time()
    with pytest.raises(Damage):
        loaded(HOSTILE[kind].encode(), "it")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", ["x.dvc", "dvc.lock", "meta.yaml"])
def test_a_hostile_file_is_left_and_the_rest_is_imported(cli: Cli, tmp_path: Path, dvc: Path, name: str) -> None:
    if name == "meta.yaml":
        mlruns = unpacked("mlflow", tmp_path) / "mlruns"
        bad = next(path for path in mlruns.glob("*/*/meta.yaml") if "run_name: bad" in path.read_text())
        bad.write_text(HOSTILE["aliases"])
        taken, left = imported(cli, "mlflow", "mlflow")
        assert "run good" in taken
    else:
        make_tree(dvc, {f"sub/{name}": HOSTILE["aliases"]})
        taken, left = imported(cli, "dvc", "dvc", "--cache", "cache")
        assert "x at the working folder" in taken
    assert any("more than 1,000,000 values" in reason for reason in left.values())


def test_aliases_of_a_usual_file_are_read() -> None:
    assert loaded(b"a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n", "it") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1}}


@pytest.mark.parametrize("text", ["[a]\na" + " " * 50_000 + "b\n", "[a]\n" + "b = 1\n" * 50_000, "[a", "\xff"])
def test_a_hostile_file_of_settings_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(Damage):
        settings_of(text.encode("latin-1"), "it")
    assert time.process_time() - start < 1


def test_a_hostile_config_of_a_repository_is_refused_at_once(repo: Repository, root: Path, cli: Cli) -> None:
    (root / "config").write_text("[core]\na" + " " * 200_000 + "b\n")
    start = time.process_time()
    assert "has 200 or more blanks in a row" in cli("ls").err and time.process_time() - start < 2
    (root / "config").write_text("#" * (1 << 21))
    assert "is too long for settings" in cli("ls").err
    os.unlink(root / "config")


DOTS = "a." * 1900


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{DOTS}b = 1", "a key has too many parts"),
        (f"x = {{{DOTS}b = 1}}", "a key has too many parts"),
        ('"a".' * 1000 + "b = 1", "a key has too many parts"),
        (f't = {{a = """x"y""", {DOTS}b = 1, z = """b"""}}', "a key has too many parts"),
        (f"t = {{a = '''\nx''', {DOTS}b = 1, z = '''b'''}}", "a key has too many parts"),
        (f't = {{a = "\u2028", {DOTS}b = 1, z = "\u2028"}}', "a key has too many parts"),
        ("a." * 50_000 + "b = 1", "a line of more than 4,096 characters"),
        ("\n" * (1 << 22) + " ", "is longer than 4,194,304 characters"),
    ],
)
def test_a_hostile_lock_file_is_refused_at_once(
    repo: Repository, cli: Cli, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "artstore.lock").write_text(text)
    start = time.process_time()
    done = cli("get", "--locked")
    assert done.code == 3 and says in done.err and time.process_time() - start < 1


def test_half_a_character_in_a_run_of_wandb_is_imported_as_a_question_mark() -> None:
    values: dict[str, Any] = {}
    texts = {"a": r'["\ud800", {"\udfffb": 1}]', "b": r'"\ud83d\ude00"', "c": "no JSON"}
    _set(values, [SimpleNamespace(nested_key=[], key=key, value_json=text) for key, text in texts.items()])
    assert values == {"a": ["?", {"?b": 1}], "b": "😀", "c": "no JSON"}


@pytest.mark.parametrize("after", ["the check", "the path is resolved"])
def test_a_folder_that_becomes_a_link_after_the_check_is_not_followed(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    place = make_tree(tmp_path / "store", {"run/params/key": "own"})
    source = Source(str(place))
    resolve, require = os.path.realpath, source.require
    assert source.small_file(f"{place}/run/params/key") == b"own"

    def swap() -> None:
        (place / "run/params").rename(tmp_path / "moved")
        (place / "run/params").symlink_to(secret)

    def required(path: str) -> str:
        result = require(path)
        if after == "the check":
            swap()
        else:
            monkeypatch.setattr(os.path, "realpath", resolved)
        return result

    def resolved(path: str) -> str:
        result = resolve(path)
        swap()
        return result

    monkeypatch.setattr(source, "require", required)
    with pytest.raises((Damage, NotADirectoryError)):
        source.small_file(f"{place}/run/params/key")
    assert (place / "run/params").is_symlink()


def test_a_file_that_is_swapped_between_its_check_and_its_save_is_refused(
    dvc: Path, cli: Cli, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Draft.add_file

    def swapped(draft: Draft, path: str, *names: Any, **options: Any) -> Any:
        Path(path).unlink()
        Path(path).symlink_to(secret / "key")
        return add(draft, path, *names, **options)

    monkeypatch.setattr(Draft, "add_file", swapped)
    taken, left = imported(cli, "dvc", "dvc", "--cache", str(tmp_path / "cache"))
    assert taken == {} and left["x at the working folder"].endswith(" was changed while it was imported"), left


@pytest.mark.parametrize("kind", ["folder", "file", "root"])
def test_a_link_that_comes_after_the_check_of_a_whole_folder_is_not_followed(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Somebody swaps a folder, or a link inside for one that leads out, between the check and the walk."""
    place = make_tree(tmp_path / "store", {"run/sub/key": "own", "run/other": "own"})
    (place / "run/link").symlink_to(place / "run/other")
    where = {"folder": place / "run/sub", "file": place / "run/link", "root": place / "run"}[kind]
    add_folder = Draft.add_folder

    def swapped(draft: Draft, folder: str, **options: Any) -> Any:
        where.rename(tmp_path / "moved")
        where.symlink_to(secret / "key" if kind == "file" else secret)
        return add_folder(draft, folder, **options)

    monkeypatch.setattr(Draft, "add_folder", swapped)
    Repository.init(str(tmp_path / ".artifacts")).close()
    with (
        Repository(str(tmp_path / ".artifacts")) as repository,
        repository.draft() as draft,
        pytest.raises(SourceError, match="leads out of"),
    ):
        Source(str(place)).add_folder(draft, str(place / "run"))


def test_a_database_that_is_swapped_while_it_is_opened_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, other = tmp_path / "store", tmp_path / "other.db"
    place.mkdir()
    for path in (place / "mlflow.db", other):
        with sqlite3.connect(path) as made:
            made.execute("CREATE TABLE experiments (id TEXT)")
            made.execute("CREATE TABLE runs (id TEXT)")
    connect = sqlite3.connect

    def swapped(*arguments: Any, **options: Any) -> Any:
        (place / "mlflow.db").unlink()
        (place / "mlflow.db").symlink_to(other)
        return connect(*arguments, **options)

    DatabaseStore(str(place / "mlflow.db"), Source(str(place))).close()
    monkeypatch.setattr(sqlite3, "connect", swapped)
    with pytest.raises(Damage, match="was changed while it was opened"):
        DatabaseStore(str(place / "mlflow.db"), Source(str(place)))
