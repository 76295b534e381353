"""Versions in the cache of Hugging Face's libraries: contents, links to them, names, and what is written again."""

import json
import os
from pathlib import Path

import pytest

from artstore.backends.homes import hub_cache_folder
from artstore.backends.references import find
from artstore.errors import InvalidValue, MissingReference, Refused
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, touched
from tests.support.maintenance import dead_owner

CONFIG, WEIGHTS = b'{"model_type": "tiny"}', b"weights\n" * 200_000


@pytest.fixture
def model(repo: Repository, tmp_path: Path) -> Path:
    """A folder, whose content is vision/net:v0, which is in production."""
    files = {"config.json": CONFIG, "run.sh*": "echo", "deep/er/weights": WEIGHTS, "deep/copy": CONFIG}
    repo.put(str(make_tree(tmp_path / "model", files)), "vision/net", type="model", aliases=("prod",))
    return tmp_path / "model"


def _get(repo: Repository, cache: Path, spec: str = "vision/net", how: Restore | None = None) -> Path:
    return Path(repo.get_into_hub_cache(repo.find(spec), str(cache), how or Restore()).root)


def _names(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "refs").iterdir()}


def _written(cache: Path) -> dict[str, tuple[int, int, int]]:
    return {str(path): touched(path) for path in cache.rglob("*") if path.is_file() and "refs" not in path.parts}


def test_a_version_is_links_to_contents_and_names_lead_to_it(repo: Repository, model: Path, tmp_path: Path) -> None:
    snapshot = _get(repo, tmp_path / "hub")
    folder = tmp_path / "hub/models--vision--net"
    commit = repo.find("vision/net").id[:40]
    assert snapshot == folder / "snapshots" / commit
    assert _names(folder) == dict.fromkeys(("latest", "main", "prod", "v0"), commit)
    for path in model.rglob("*"):
        if path.is_file():
            link, entry = (
                snapshot / path.relative_to(model),
                repo.entry(repo.find("vision/net"), str(path.relative_to(model))),
            )
            above = "../" * (len(link.relative_to(folder).parts) - 1)
            assert os.readlink(link) == f"{above}blobs/{entry.digest.hex()}"
            assert link.read_bytes() == path.read_bytes()
    assert len(list((folder / "blobs").iterdir())) == 3, "the same content is there once"
    assert not list((tmp_path / "hub").rglob(".artstore-*"))


def test_no_content_is_a_file_of_the_store(repo: Repository, model: Path, tmp_path: Path) -> None:
    for blob in (_get(repo, tmp_path / "hub").parents[1] / "blobs").iterdir():
        assert blob.stat().st_nlink == 1 and not blob.is_symlink() and not blob.stat().st_mode & 0o111
        blob.write_bytes(b"edited by somebody")
    for how in (Restore(link="hardlink"), Restore(link="symlink"), Restore(delete=True)):
        with pytest.raises(InvalidValue):
            _get(repo, tmp_path / "hub", how=how)


def test_only_what_is_new_is_written(repo: Repository, model: Path, tmp_path: Path) -> None:
    old = _get(repo, tmp_path / "hub")
    before = _written(tmp_path / "hub")
    again = repo.get_into_hub_cache(repo.find("vision/net"), str(tmp_path / "hub"))
    assert (again.files, again.written, again.written_bytes) == (4, 0, 0) and _written(tmp_path / "hub") == before
    (model / "config.json").write_bytes(b"{}")
    repo.put(str(model), "vision/net", aliases=("next",))
    result = repo.get_into_hub_cache(repo.find("vision/net"), str(tmp_path / "hub"))
    assert (result.files, result.written, result.written_bytes) == (4, 1, 2)
    assert before.items() <= _written(tmp_path / "hub").items() and (old / "config.json").read_bytes() == CONFIG
    names = _names(old.parents[1])
    assert names["prod"] == names["v0"] == old.name != names["main"] == names["v1"] == names["next"]


def test_a_content_that_is_not_right_is_written_again_and_nothing_is_written_through_a_link(
    repo: Repository, model: Path, tmp_path: Path
) -> None:
    snapshot, mine = _get(repo, tmp_path / "hub"), tmp_path / "mine"
    mine.write_text("mine")
    blob = (snapshot / "config.json").resolve()
    blob.write_bytes(b"x" * len(CONFIG))
    (snapshot / "run.sh").resolve().unlink()
    (snapshot / "run.sh").unlink()
    (snapshot / "run.sh").symlink_to(mine)
    weights = (snapshot / "deep/er/weights").resolve()
    weights.unlink()
    weights.symlink_to(mine)
    assert repo.get_into_hub_cache(repo.find("vision/net"), str(tmp_path / "hub")).written == 3
    assert blob.read_bytes() == CONFIG and weights.read_bytes() == WEIGHTS and not weights.is_symlink()
    assert (snapshot / "run.sh").read_text() == "echo" and mine.read_text() == "mine"


def test_what_a_killed_process_left_is_removed(repo: Repository, model: Path, tmp_path: Path) -> None:
    blobs = _get(repo, tmp_path / "hub").parents[1] / "blobs"
    (blobs / f".artstore-{dead_owner()}-{'0' * 16}").write_text("part")
    (blobs / "somebody.incomplete").write_text("part")
    _get(repo, tmp_path / "hub")
    assert [path.name for path in blobs.iterdir() if len(path.name) != 64] == ["somebody.incomplete"]


def test_a_reference_is_fetched_once_for_a_version(repo: Repository, tmp_path: Path) -> None:
    source = tmp_path / "far.bin"
    source.write_bytes(b"far")
    with repo.draft() as draft:
        draft.add_references("far.bin", find(source.as_uri()))
        draft.add_bytes(b"near", "near.bin")
        draft.save(repo.path_of("vision/rows")[0], type="dataset")
    snapshot = _get(repo, tmp_path / "hub", "vision/rows")
    assert snapshot.parents[1].name == "datasets--vision--rows"
    assert (snapshot / "far.bin").read_bytes() == b"far" and (snapshot / "near.bin").read_bytes() == b"near"
    source.unlink()
    assert repo.get_into_hub_cache(repo.find("vision/rows"), str(tmp_path / "hub")).written == 0
    with pytest.raises(MissingReference):
        _get(repo, tmp_path / "other", "vision/rows")
    assert not list((tmp_path / "other").rglob(".artstore-*")) and not list((tmp_path / "other").rglob("near.bin"))
    result = repo.get_into_hub_cache(
        repo.find("vision/rows"), str(tmp_path / "other"), Restore(allow_missing_references=True)
    )
    assert (result.files, result.missing) == (1, ("far.bin",))


def test_names_that_these_libraries_or_a_folder_cannot_have(repo: Repository, model: Path, tmp_path: Path) -> None:
    for name in ("vision/two words", "vision/a--b", "vision/a..b", "vision/-a", "vision/a.git", f"vision/{'a' * 97}"):
        repo.put(str(model), name)
        with pytest.raises(InvalidValue, match="can't be an id of the Hugging Face hub"):
            _get(repo, tmp_path / "hub", name)
    repo.put(str(model), "vision/odd", aliases=("..", "ä b"))
    snapshot = _get(repo, tmp_path / "hub", "vision/odd")
    assert set(_names(snapshot.parents[1])) == {"latest", "main", "v0", "ä b"}
    repo.put(str(model), "vision/own", aliases=("main",))
    (model / "config.json").write_bytes(b"{}")
    repo.put(str(model), "vision/own")
    latest = _get(repo, tmp_path / "hub", "vision/own").name
    assert set(_names(tmp_path / "hub/models--vision--own")) == {"latest", "v1"}, "main is another version's alias"
    own = _get(repo, tmp_path / "hub", "vision/own:main").name
    assert _names(tmp_path / "hub/models--vision--own")["main"] == own != latest


def test_a_cache_is_not_in_the_repository_nor_where_something_else_is(
    repo: Repository, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="is in the repository"):
        _get(repo, Path(repo.root) / "hub")
    (tmp_path / "hub/models--vision--net").mkdir(parents=True)
    (tmp_path / "hub/models--vision--net/blobs").symlink_to(tmp_path)
    with pytest.raises(Refused, match="is in the way"):
        _get(repo, tmp_path / "hub")


def test_the_default_is_the_folder_of_these_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    for name, value, folder in (
        ("HOME", "/home/ann", "/home/ann/.cache/huggingface/hub"), ("XDG_CACHE_HOME", "/c", "/c/huggingface/hub"),
        ("HF_HOME", "~/hf", "/home/ann/hf/hub"), ("HUGGINGFACE_HUB_CACHE", "/old", "/old"),
        ("HF_HUB_CACHE", "$HOME/new", "/home/ann/new"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
        assert hub_cache_folder() == folder


def test_the_command_says_how_a_version_is_found(cli: Cli, repo: Repository, model: Path, tmp_path: Path) -> None:
    answer = cli("get", "vision/net:prod", "--hf-cache", HF_HOME=str(tmp_path / "hf"))
    snapshot = tmp_path / f"hf/hub/models--vision--net/snapshots/{repo.find('vision/net').id[:40]}"
    assert answer.out == (
        f"got vision/net:v0: 4 files in {snapshot.relative_to(tmp_path)}, 1.5 MiB written\n"
        "with HF_HUB_OFFLINE=1 it is found as the model vision/net, revision latest or prod or v0 or main\n"
    )
    told = json.loads(cli("get", "vision/net", "--hf-cache", "--root", "mine", "--json").out)
    assert told["id"] == "vision/net" and told["kind"] == "model" and (tmp_path / "mine/models--vision--net").is_dir()
    for options in (("--delete",), ("--link", "symlink")):
        wrong = cli("get", "vision/net", "--hf-cache", *options)
        assert wrong.code == 3 and "--hf-cache can't be combined with --link and --delete" in wrong.err
