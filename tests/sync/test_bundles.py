"""`bundle create` and `bundle apply`: versions in one file, from host to host."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import Damage, DamagedObject, InvalidValue, NotFound, Refused, UnsupportedFormat
from artstore.repository import Repository
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot

LARGE = os.urandom(2 << 20)


@pytest.fixture
def other(tmp_path: Path) -> Repository:
    """On the far side."""
    return Repository.init(str(tmp_path / "far" / ".artifacts"))


@pytest.fixture
def data(repo: Repository, tmp_path: Path) -> Repository:
    source = make_tree(tmp_path / "src", {"a": "1", "large.bin": LARGE, "deep/b": "b"})
    repo.put(str(source), "data", type="dataset")
    (source / "a").write_text("2")
    repo.put(str(source), "data")
    repo.set_aliases("data:v1", ("prod",))
    repo.put(str(make_tree(tmp_path / "model", {"w": "w"})), "models/net")
    return repo


def files(repository: Repository, spec: str, into: Path) -> object:
    repository.get(repository.find(spec), str(into))
    return snapshot(into)


def test_a_bundle_brings_versions_aliases_and_runs(
    data: Repository, other: Repository, cli: Cli, tmp_path: Path
) -> None:
    with wandb.init(project="p", id="run-1", dir=str(tmp_path)) as run:
        run.log({"loss": 1})
        artifact = wandb.Artifact("made", "dataset")
        artifact.add_file(str(tmp_path / "model/w"))
        run.log_artifact(artifact)
    told = cli("bundle", "create", "all.bundle")
    assert told.code == 0 and "data: bundled v0, v1" in told.out and "and 1 run" in told.out, told
    applied = cli(
        "bundle", "apply", "../all.bundle", cwd=tmp_path / "far", ARTSTORE_DIR=str(tmp_path / "far/.artifacts")
    )
    assert applied.code == 0 and "data: got v0, v1" in applied.out and "models/net: got v0" in applied.out, applied
    for spec in ("data:v0", "data:prod", "models/net", "p/made"):
        assert files(other, spec, tmp_path / "got" / spec) == files(data, spec, tmp_path / "had" / spec)
    assert [state.path.id for state in other.runs.all()] == ["run-1"]
    assert not other.fsck().problems and other.remotes.all() == {}
    again = cli("bundle", "apply", "../all.bundle", cwd=tmp_path / "far", ARTSTORE_DIR=str(tmp_path / "far/.artifacts"))
    assert again.code == 0 and again.out == "up to date with ../all.bundle\n"


def test_a_bundle_holds_what_was_named_alone(data: Repository, other: Repository, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "some.bundle"), ["models/"])
    assert [str(moved.path) for moved in other.apply_bundle(str(tmp_path / "some.bundle")).exchanged.collections] == [
        "local/models/net"
    ]
    data.create_bundle(str(tmp_path / "one.bundle"), ["data:v1"])
    other.apply_bundle(str(tmp_path / "one.bundle"))
    assert [version["number"] for version in other.collection("data").live()] == [1]
    with pytest.raises(NotFound):
        data.create_bundle(str(tmp_path / "none.bundle"), ["nothing"])
    assert not (tmp_path / "none.bundle").exists()


def test_what_the_other_side_has_is_left_out_and_asked_for(
    data: Repository, other: Repository, cli: Cli, tmp_path: Path
) -> None:
    whole = data.create_bundle(str(tmp_path / "v0.bundle"), ["data:v0"])
    told = cli("bundle", "create", "v1.bundle", "data:v1", "--base", "data:v0")
    assert told.code == 0 and "needs data:v0" in told.out
    assert whole.bytes > len(LARGE) > 20 * (tmp_path / "v1.bundle").stat().st_size
    before = snapshot(tmp_path / "far")
    with pytest.raises(NotFound, match="builds on local/uncategorized/data:v0 .* which is not here"):
        other.apply_bundle(str(tmp_path / "v1.bundle"))
    assert snapshot(tmp_path / "far") == before
    other.apply_bundle(str(tmp_path / "v0.bundle"))
    other.apply_bundle(str(tmp_path / "v1.bundle"))
    assert files(other, "data:v1", tmp_path / "got") == files(data, "data:v1", tmp_path / "had")
    assert other.collection("data").aliases_of(other.find("data:v1").version["id"]) == ["latest", "prod"]
    other.delete("data:v0")
    with pytest.raises(NotFound, match="was deleted here"):
        other.apply_bundle(str(tmp_path / "v1.bundle"))


def test_numbers_that_both_sides_gave_are_told_apart(data: Repository, other: Repository, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "b"), ["data"])
    other.put(str(make_tree(tmp_path / "mine", {"x": "mine"})), "data", type="dataset")
    moved = other.apply_bundle(str(tmp_path / "b")).exchanged.collections[0]
    assert moved.renumbered == ((0, 2),)
    assert files(other, "data:v2", tmp_path / "got") == snapshot(tmp_path / "mine")


def test_nothing_is_left_behind_when_it_fails(data: Repository, root: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Refused, match="exists already"):
        data.create_bundle(str(tmp_path / "there"))
    with pytest.raises(Exception, match="write"):
        data.create_bundle(str(tmp_path / "no/such/folder/file"))
    assert os.listdir(root / "tmp") == [] and (tmp_path / "there").read_text() == "mine"


def test_a_kill_leaves_neither_half_a_bundle_nor_half_of_what_it_brings(
    data: Repository, other: Repository, tmp_path: Path
) -> None:
    code = "import os, sys\nimport artstore.sync.bundles as b\nreal = b._copy\nb._copy = lambda *a: (real(*a), os._exit(9))\nfrom artstore.cli import main\nmain()"
    for command, where in ((["bundle", "create", "b"], tmp_path), (["bundle", "apply", "b"], tmp_path / "far")):
        told = environment(tmp_path, ARTSTORE_DIR=str(where / ".artifacts"))
        if command[1] == "apply":
            data.create_bundle(str(tmp_path / "far/b"))
        assert subprocess.run([sys.executable, "-c", code, *command], cwd=where, env=told, check=False).returncode == 9
        assert not (tmp_path / "b").exists()
    assert list(other.collections()) == []
    other.apply_bundle(str(tmp_path / "far/b"))
    assert not other.fsck().problems and os.listdir(tmp_path / "far/.artifacts/tmp") == []
    assert os.listdir(tmp_path / "far/.artifacts/remotes") == []


# -- what is no bundle --


def tampered(bundle: Path, change: dict[str, bytes | None], compress: int = zipfile.ZIP_STORED) -> Path:
    """The same with members changed, added, or (None) left out."""
    out = bundle.with_suffix(".tampered")
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(out, "w", compress) as target:
        members = {name: source.read(name) for name in source.namelist()} | change
        for name, content in members.items():
            if content is not None:
                target.writestr(name, content)
    return out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"../../evil": b"x"}, "it holds"), ({"/etc/x": b"x"}, "it holds"), ({"refs/../../../x": b"x"}, "it holds"), ({"config": b"x"}, "it holds"),
        ({"refs/a/../b/00000001.json": b"x"}, "it holds"), ({"objects/packs/evil.pack": b"x"}, "it holds"), ({"bundle.json": None}, "not a bundle"),
        ({"bundle.json": b"{"}, "not a bundle"), 
        ({"bundle.json": b'{"artstore bundle": 1, "needs": [{"id": 5}]}'}, "malformed"), ({"bundle.json": b"[" * 100_000}, "not a bundle"),
    ],
)  # fmt: skip
def test_a_file_that_leads_elsewhere_is_refused(
    data: Repository, other: Repository, tmp_path: Path, change: dict[str, bytes | None], said: str
) -> None:
    data.create_bundle(str(tmp_path / "b"))
    with pytest.raises(InvalidValue, match=said):
        other.apply_bundle(str(tampered(tmp_path / "b", change)))
    assert list(other.collections()) == [] and os.listdir(tmp_path / "far/.artifacts/tmp") == []


def test_a_bundle_of_a_newer_form_says_so(data: Repository, other: Repository, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "b"))
    newer = tampered(tmp_path / "b", {"bundle.json": b'{"artstore bundle": 2, "builds on": []}'})
    with pytest.raises(UnsupportedFormat, match="format 2"):
        other.apply_bundle(str(newer))


@pytest.mark.parametrize("change", [{"format": None}, {"format": b"garbage"}])
def test_a_bundle_without_a_repository_is_told_as_such(
    data: Repository, other: Repository, tmp_path: Path, change: dict[str, bytes | None]
) -> None:
    data.create_bundle(str(tmp_path / "b"))
    with pytest.raises(InvalidValue, match="doesn't hold an artstore repository"):
        other.apply_bundle(str(tampered(tmp_path / "b", change)))


def test_members_that_overlap_take_no_room(data: Repository, other: Repository, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "b"), ["data"])
    with zipfile.ZipFile(tmp_path / "b") as source:
        large = next(info for info in source.infolist() if "blobs" in info.filename)
    raw = (tmp_path / "b").read_bytes()
    name = large.filename.encode()
    at = raw.rindex(name) - 46  # its entry in the central directory, once more under another name
    entry = raw[at : at + 46 + len(name) + len(large.extra)]
    twice = entry.replace(name, name[:-1] + (b"0" if name[-1:] != b"0" else b"1"))
    end = raw.rindex(b"PK\x05\x06")
    tail = bytearray(raw[end:])
    for place in (8, 10):
        tail[place : place + 2] = (int.from_bytes(tail[place : place + 2], "little") + 1).to_bytes(2, "little")
    tail[12:16] = (int.from_bytes(tail[12:16], "little") + len(twice)).to_bytes(4, "little")
    (tmp_path / "c").write_bytes(raw[:end] + twice + bytes(tail))
    with pytest.raises((InvalidValue, Damage), match="larger than the file|damaged at|cut off"):
        other.apply_bundle(str(tmp_path / "c"))
    assert list(other.collections()) == []


def test_what_is_compressed_or_no_zip_is_refused(data: Repository, other: Repository, cli: Cli, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "b"))
    with pytest.raises(InvalidValue, match="compressed|too large"):
        other.apply_bundle(str(tampered(tmp_path / "b", {}, zipfile.ZIP_DEFLATED)))
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "cut").write_bytes((tmp_path / "b").read_bytes()[:-100])
    for name, code, said in (
        ("text", 3, "is not a bundle, or was cut off"),
        ("cut", 7, "is damaged: its end is missing"),
    ):
        done = cli("bundle", "apply", name)
        assert done.code == code and said in done.err
    assert cli("bundle", "apply", "nowhere").code == 4


def test_a_damaged_bundle_brings_nothing_wrong(data: Repository, other: Repository, tmp_path: Path) -> None:
    data.create_bundle(str(tmp_path / "b"), ["data"])
    raw = (tmp_path / "b").read_bytes()
    at = raw.index(LARGE[1000:1100])
    (tmp_path / "b").write_bytes(raw[:at] + b"!" + raw[at + 1 :])
    with pytest.raises(Damage, match="damaged at"):
        other.apply_bundle(str(tmp_path / "b"))
    with zipfile.ZipFile(tmp_path / "c", "w") as target:  # with a right checksum of the wrong bytes
        data.create_bundle(str(tmp_path / "good"), ["data"])
        with zipfile.ZipFile(tmp_path / "good") as source:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, content.replace(LARGE[1000:1100], b"!" * 100) if "blobs" in name else content)
    (refused,) = other.apply_bundle(str(tmp_path / "c")).exchanged.refused
    assert isinstance(refused.problem, DamagedObject) and refused.problem.message.startswith(
        f"{tmp_path / 'c'} is damaged"
    )
    assert refused.problem.hint == "copy it here again, or create it again"
    assert not other.fsck().problems and list(other.collections()) == []


def test_it_is_told_as_json(data: Repository, cli: Cli) -> None:
    told = json.loads(cli("bundle", "create", "b", "data", "--json").out)
    assert [moved["versions"] for moved in told["collections"]] == [["data:v0", "data:v1"]]
