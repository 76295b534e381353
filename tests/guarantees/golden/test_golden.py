"""Golden repositories: what released versions have written is read for ever, by the package and by the independent reader."""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from msgpack import unpackb

from artstore.domain import kinds
from artstore.domain import run as runs
from artstore.domain.collection import Path as Name
from artstore.domain.tree import REFERENCE
from artstore.repository import Repository
from tests.guarantees.golden import features, look, sayings
from tests.guarantees.golden.make import HERE, LISTED, golden_files
from tests.guarantees.golden.names import NAMES
from tests.guarantees.golden.tell import by_package, by_reader
from tests.support.folders import make_tree, snapshot
from tests.support.marks import mostly_long
from tests.support.reader import Reader

FORMAT = HERE.parents[2] / "FORMAT.md"
Told = dict[str, Any]
Unpack = Callable[[str], dict[str, tuple[Path, Told]]]
NOT_LARGE = mostly_long(NAMES, *(name for name in NAMES if name != "split-folder"))
"""Golden repositories. The default run leaves out the one that takes seconds."""


@pytest.fixture
def unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unpack:
    """Unpack a golden repository here; folder and expectation of each repository that is in it, by name."""
    monkeypatch.chdir(tmp_path)  # to which a remote's path is relative

    def unpacked(name: str) -> dict[str, tuple[Path, Told]]:
        with tarfile.open(HERE / f"{name}.tar.gz") as tar:
            tar.extractall(tmp_path, filter="tar")
        expected = json.loads((HERE / f"{name}.json").read_text())
        return {place: (tmp_path / place, whole(told)) for place, told in expected.items()}

    return unpacked


def whole(expected: Told) -> Told:
    """With a file for each name that a range such as `f{00..99}` stands for."""
    for collection in expected["collections"].values():
        for version in collection["versions"].values():
            if "files" in version:
                ranges_first = sorted(version["files"].items(), key=lambda item: "{" not in item[0])
                version["files"] = {name: file for path, file in ranges_first for name in names_in(path)}
    return expected


def names_in(path: str) -> list[str]:
    found = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}", path)
    if found is None:
        return [path]
    head, first, last = found.groups()
    return [f"{head}{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]


def said(told: Told) -> Told:
    """Without what nobody can know beforehand: the clock's part in a run."""
    for run in told["runs"].values():
        for values in (run["summary"], *run["rows"]):
            for key in ("_runtime", "_timestamp", "_wandb"):
                values.pop(key, None)
    return {"collections": told["collections"], "runs": told["runs"]}


def test_no_golden_file_was_edited_or_went_away() -> None:
    listed = {line[66:]: line[:64] for line in LISTED.read_text().splitlines()}
    assert listed == {path.name: blake3(path.read_bytes()).hexdigest() for path in golden_files()}
    assert all(path.stat().st_size < 100 << 10 for path in golden_files())


def test_every_golden_repository_that_is_described_was_made() -> None:
    assert {build.__name__.replace("_", "-") for build in features.ALL + sayings.ALL} <= set(NAMES)


def test_the_independent_reader_shares_no_code_with_the_package_and_is_as_short_as_the_page_says() -> None:
    sources = [(HERE.parents[1] / "support" / name).read_text() for name in ("reader.py", "unpacked.py", "fold.py")]
    imports = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    modules = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert {str(module).split(".")[0] for module in modules} - set(sys.stdlib_module_names) == {
        "blake3",
        "msgpack",
        "backports",
        "compression",  # zstd: in Python itself from 3.14 on
        "tests",
    }
    assert {module for module in modules if str(module).startswith("tests")} == {
        "tests.support.fold",
        "tests.support.unpacked",
    }
    lengths = [len(source.splitlines()) for source in sources]
    assert re.findall(r"in (\d+) lines, (\d+) for .*, and\s(\d+) for", FORMAT.read_text()) == [tuple(map(str, lengths))]
    assert lengths[0] + lengths[1] <= 260


@pytest.mark.parametrize("name", NAMES)
def test_the_independent_reader_finds_no_fault_and_reads_what_was_put_in(unpack: Unpack, name: str) -> None:
    for root, expected in unpack(name).values():
        assert Reader(root).check() == []
        assert said(by_reader(root)) == said(expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_package_finds_no_fault_and_reads_what_was_put_in(unpack: Unpack, name: str) -> None:
    for root, expected in unpack(name).values():
        with Repository(str(root)) as repository:
            problems = repository.fsck().problems
            assert len(problems) == expected.get("damaged", 0), problems
            assert said(by_package(repository, absent=expected.get("absent", False))) == said(expected)
            for path, collection in expected["collections"].items():
                for alias, number in collection["aliases"].items():
                    assert repository.find(f"{path}:{alias}").version["number"] == number


@pytest.mark.parametrize("name", NAMES)
def test_every_live_version_is_restored_as_it_was_put_in(unpack: Unpack, name: str, tmp_path: Path) -> None:
    for place, (root, expected) in unpack(name).items():
        with Repository(str(root)) as repository:
            for path, collection in expected["collections"].items():
                for number, version in collection["versions"].items():
                    if version["live"] and not any(file[0] == REFERENCE for file in version["files"].values()):
                        found = repository.version(repository.refs.read(Name(*path.split("/"))).path, version["id"])
                        out = tmp_path / "out" / place / path / number
                        repository.get(found, str(out))
                        assert on_disk(out) == version["files"]
                        assert repository.verify(found, str(out)).ok


def on_disk(folder: Path) -> dict[str, list[Any]]:
    return {
        path: [int(file[0]), len(file[1]), blake3(file[1]).hexdigest()]
        for path, file in snapshot(folder).items()
        if file is not None
    }


@pytest.mark.parametrize("name", NOT_LARGE)
def test_the_package_saves_into_it_and_collects_in_it(unpack: Unpack, name: str, tmp_path: Path) -> None:
    for root, expected in unpack(name).values():
        with Repository(str(root)) as repository:
            repository.put(str(make_tree(tmp_path / "new", {"f": "new"})), "new to it")
            repository.set_aliases("new to it", add=("set",))
            repository.gc(now=True)
        with Repository(str(root)) as repository:
            assert repository.fsck().problems == []  # what was damaged is noted, stored once more, and now away
            told = said(by_package(repository))
            assert told["collections"].pop("local/uncategorized/new to it")["aliases"] == {"set": 0}
            assert told == said(expected)
        assert Reader(root).check() == []


@pytest.mark.parametrize("name", NOT_LARGE)
def test_a_clone_of_it_reads_the_same(unpack: Unpack, name: str, tmp_path: Path) -> None:
    for place, (root, expected) in unpack(name).items():
        if expected.get("absent"):
            continue  # a remote is never partial
        clone = tmp_path / f"clone of {place}"
        with Repository.clone(str(root), str(clone))[0] as repository:
            assert repository.fsck().problems == []
            assert travelling(said(by_package(repository))) == travelling(said(expected))
        assert Reader(clone).check() == []
        assert travelling(said(by_reader(clone))) == travelling(said(expected))


def travelling(told: Told) -> Told:
    """What a clone gets: what lives, and runs as far as they were sealed. It verified no author."""
    there = {}
    for path, one in told["collections"].items():
        if one["exists"]:
            live = {number: version for number, version in one["versions"].items() if version["live"]}
            live = {number: unverified(version) for number, version in live.items()}
            there[path] = one | {"versions": live, "unfinished": {}}
    runs = {path: unverified(run) for path, run in told["runs"].items() if not run["deleted"] and run["state"]}
    return {"collections": there, "runs": runs}


def unverified(one: Told) -> Told:
    return {key: value for key, value in one.items() if key != "author"}


@pytest.mark.parametrize("name", NOT_LARGE)
def test_it_is_read_where_nothing_can_be_written_and_no_byte_changes(unpack: Unpack, name: str) -> None:
    for root, expected in unpack(name).values():
        paths = [root, *root.rglob("*")]
        before = {path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in paths}
        modes = {path: path.stat().st_mode for path in paths}
        try:
            for path in paths:
                path.chmod(modes[path] & ~0o222)
            told, ended = without_privilege(root, absent=expected.get("absent", False))
            assert said(told) == said(expected)
            assert ended == dict.fromkeys(look.COMMANDS, 0) | {"fsck": 7 if "damaged" in expected else 0}
        finally:
            for path in paths:
                path.chmod(modes[path])
        assert {
            path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in [root, *root.rglob("*")]
        } == before


def without_privilege(root: Path, *, absent: bool) -> tuple[Told, dict[str, int]]:
    """What a process reads to which files' modes apply, though it be root's; and how its commands ended."""
    held = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*held, sys.executable, "-m", look.__name__, str(root), *(["absent"] if absent else [])],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2])}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, ended = json.loads(done.stdout)
    return told, ended


def entries_of(root: Path) -> list[Any]:
    logs = [*root.glob("refs/*/*/*/*.json"), *root.glob("runs/*/*/*/*.json")]
    return [(path, json.loads(path.read_text())) for path in logs]


def test_every_kind_of_change_that_the_code_knows_is_in_some_log(everything: dict[str, Path]) -> None:
    found: dict[str, set[str]] = {"refs": set(), "runs": set()}
    filled: set[tuple[str, str, str, bool]] = set()
    for root in everything.values():
        for path, entry in entries_of(root):
            place = path.parts[-5]
            for change in entry["changes"]:
                found[place].add(change["kind"])
                filled |= {(place, change["kind"], field, value is None) for field, value in change.items()}
    assert found == {"refs": kinds.KINDS.keys(), "runs": runs.KINDS.keys()}
    assert {(place, "by") for place in found} == {(place, field) for place, _, field, _ in filled if field == "by"}
    tables = (("refs", kinds.KINDS), ("runs", runs.KINDS))
    fields = {
        (place, kind, field): good
        for place, table in tables
        for kind in table
        for field, good in table[kind].fields.items()
    }
    assert {field for field in fields if (*field, False) not in filled} == {("refs", "delete", "reason")}  # for later
    nullable = [field for field, good in fields.items() if may_be_null(good)]
    assert {field for field in nullable if (*field, True) not in filled} == {
        ("refs", "withdraw", "reason")
    }  # always told


def may_be_null(good: Callable[[Any], object]) -> bool:
    try:
        return good(None) is not False
    except (TypeError, ValueError):
        return False


def test_every_kind_of_object_and_of_tree_entry_is_in_some_pack(everything: dict[str, Path]) -> None:
    kinds, entries, references, cut = set(), set(), set(), set()
    for root in everything.values():
        reader = Reader(root)
        for kind, digest in reader.copies:
            kinds.add(kind)
            for entry in unpackb(reader.read(digest, kind)) if kind == "tree" else ():
                entries.add(entry[1])
                if entry[1] == REFERENCE:
                    references.add(entry[4])
                    cut |= {(field, entry[place] is None) for field, place in (("size", 2), ("version", 6))}
    assert kinds == {"blob", "tree", "version", "recipe", "delta"}
    assert entries == set(range(5))
    assert references == {"etag", "blake3", "uri"}
    assert cut == {(field, null) for field in ("size", "version") for null in (True, False)}


HEX64, OWNER = "[0-9a-f]{64}", r"[^./]+\.[^./]+\.[^./]+\.\d+\.[^./]+\.[0-9a-f]{8}"
LOG = "/".join([r"(?:[a-z0-9_.-]|%[0-9A-F]{2})+"] * 3)
LAYOUT = {
    ".gitignore": [r"\.gitignore"],
    "format": ["format"],
    "config": ["config"],
    "objects/packs/<name>.pack": [rf"objects/packs/{HEX64}\.pack"],
    "objects/blobs/ab/<64 hex>": [rf"objects/blobs/[0-9a-f]{{2}}/{HEX64}"],
    "refs/<entity>/<project>/<collection>/00000007.json": [rf"refs/{LOG}/\d{{8}}\.json"],
    "refs/<entity>/<project>/<collection>/00000064.checkpoint": [rf"refs/{LOG}/\d{{8}}\.checkpoint"],
    "runs/<entity>/<project>/<run id>/00000002.json": [rf"runs/{LOG}/\d{{8}}\.json"],
    "runs/<entity>/<project>/<run id>/checkpoint": [rf"runs/{LOG}/checkpoint"],
    "runs/<entity>/<project>/<run id>/history.<owner>": [rf"runs/{LOG}/history\.{OWNER}"],
    "runs/<entity>/<project>/<run id>/files.<owner>/…": [rf"runs/{LOG}/files\.{OWNER}/.+"],
    "remotes/<remote>/": [
        r"remotes/nas/(id|runs)\.json", rf"remotes/nas/(refs|runs)/{LOG}/\d{{8}}\.json", rf"remotes/nas/refs/{LOG}/settled\.json",
        rf"remotes/nas/refs/{LOG}/upstream",
    ],
    "accepted": ["accepted"],
    "checkouts/": [r"checkouts/[0-9a-f]{32}\.json"],
    "cache/": [],  # of no meaning, and left out
    "tmp/<owner>…": [rf"tmp/{OWNER}", rf"tmp/{OWNER}/\d+"],
    "trash/<run>/": [rf"trash/(gc|merge)\.left\.[0-9a-f]+/{HEX64}\.pack", rf"trash/gc\.{OWNER}/{HEX64}"],
    "bad/": [rf"bad/{HEX64}\.{HEX64}", rf"bad/{HEX64}\.pack", rf"bad/{HEX64}\.[0-9a-f]{{8}}", rf"bad/{HEX64}\.pack\.[0-9a-f]{{8}}"],
}  # fmt: skip
"""FORMAT.md's list of files, and what their names are like."""


def test_every_kind_of_file_in_the_format_is_in_some_golden_repository_and_no_other_is(
    everything: dict[str, Path],
) -> None:
    block = FORMAT.read_text().split("```\n.artifacts/\n", 1)[1].split("```", 1)[0]
    assert [re.split(r" {2,}", line.strip())[0] for line in block.splitlines()] == list(LAYOUT)
    paths = {str(path.relative_to(root)) for root in everything.values() for path in root.rglob("*") if path.is_file()}
    patterns = [pattern for some in LAYOUT.values() for pattern in some]
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in paths)] == []
    assert [path for path in sorted(paths) if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []
