"""Where a fault run happens: a folder with a repository, a source, a target and maybe a remote; and the ledger of what was
acknowledged.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from artstore.domain.names import DEFAULT_ENTITY, DEFAULT_PROJECT
from artstore.repository import Repository
from artstore.store.settings import server_root
from tests.support.reader import Reader

_OF_SERVERS = re.compile(r"\.gitignore|tokens\.json(\.lock)?|audit|\S+\.jsonl")
"""Names of what a server keeps beside its repository."""

Content = dict[str, list[object]]
"""By path: [executable, digest of the bytes]."""


class Ledger(NamedTuple):
    """What must be so whatever happens. Kept outside the repository."""

    versions: dict[str, Content]
    """by `name:vN`: live, with this content"""
    aliases: dict[str, list[int]]
    """by `name:alias`: the numbers of the versions that it may name"""
    there: dict[str, Content]
    """as `versions`, at the remote"""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict()))

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        return cls(**json.loads(path.read_text()))


class Findings(NamedTuple):
    """`lost`: what was acknowledged and is gone or different. `wrong`: all else that should not be."""

    lost: list[str]
    wrong: list[str]

    def __bool__(self) -> bool:
        return bool(self.lost or self.wrong)

    def and_wrong(self, wrong: list[str]) -> "Findings":
        return Findings(self.lost, self.wrong + wrong)


class Place:
    """One folder of a fault run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".artifacts"
        self.remote = folder / "remote"
        self.source = folder / "source"
        self.target = folder / "target"

    def copy(self, folder: Path) -> "Place":
        """A copy whose folders all look young, as beside other savers: then every sync is made."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copy)
        for where, _, _ in os.walk(folder):
            os.utime(where)
        return Place(folder)

    # -- making --

    def keep(self, ledger: Ledger, name: str) -> None:
        """Save the source as the next version, and write it down."""
        with Repository.init(str(self.store)) as repository:
            saved = repository.put(str(self.source), name)
        ledger.versions[f"{name}:v{saved.number}"] = content_of(self.source)

    def write(self, files: dict[str, bytes], folder: Path | None = None) -> None:
        """Make the source (or another folder) hold exactly these files; a name that ends in `*` is executable."""
        folder = folder or self.source
        shutil.rmtree(folder, ignore_errors=True)
        for name, data in files.items():
            path = folder / name.removesuffix("*")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if name.endswith("*") else 0o644)

    # -- checking --

    def check(self, ledger: Ledger) -> Findings:
        """Whether fsck and the independent reader find nothing, and both read what the ledger says; here and at the
        remote.
        """
        found = [
            _checked(root, Ledger(versions, aliases, {}))
            for root, versions, aliases in (
                (self.store, ledger.versions, ledger.aliases),
                (self.remote, ledger.there, dict[str, list[int]]()),
            )
        ]
        return Findings(
            found[0].lost + [f"remote: {lost}" for lost in found[1].lost],
            found[0].wrong + [f"remote: {w}" for w in found[1].wrong],
        )

    def by_package(self, repository: Repository, spec: str) -> Content | str:
        return _by_package(repository, spec)

    def alias(self, spec: str, *, there: bool = False) -> int | None:
        """Number of the version that an alias names."""
        return _alias(self.remote if there else self.store, spec)

    def latest(self, name: str, *, there: bool = False) -> Content | str:
        """What the independent reader finds as the newest version."""
        try:
            reader = Reader(self.remote if there else self.store)
            versions = _state(reader, name)["versions"]
        except (KeyError, OSError) as error:
            return repr(error)
        live = [number for number, version in versions.items() if version["live"]]
        return _by_reader(reader, f"{name}:v{max(live)}") if live else "no live version"

    def left_over(self) -> list[str]:
        """What nobody needs after a `gc --now` with nobody at work."""
        store = [
            f"{root.name}/{place}/{path.name}"
            for root in (self.store, self.remote)
            for place in ("tmp", "trash", "bad")
            if root.exists()
            for path in (root / place).iterdir()
        ]
        servers = [Path(server_root(str(root))) for root in (self.store, self.remote)]
        server = [path.name for folder in servers for path in folder.rglob("*") if not _OF_SERVERS.fullmatch(path.name)]
        own = (".artifacts", "source", "target", "remote", "token", *(folder.name for folder in servers))
        beside = [path.name for path in self.folder.iterdir() if path.name not in own]
        return [f"left behind: {name}" for name in store + server + beside]


def _checked(root: Path, ledger: Ledger) -> Findings:
    """One repository against what should be in it."""
    if not root.exists() and not ledger.versions:
        return Findings([], [])
    try:
        reader = Reader(root)
        wrong, lost = [f"reader: {problem}" for problem in reader.check()], []
        with Repository(str(root)) as repository:
            wrong += [f"fsck: {problem}" for problem in repository.fsck().problems]
            for spec, content in ledger.versions.items():
                lost += _compare(spec, content, _by_reader(reader, spec), "reader")
                lost += _compare(spec, content, _by_package(repository, spec), "artstore")
            for spec, numbers in ledger.aliases.items():
                if (number := _alias(root, spec)) not in numbers:
                    lost.append(f"{spec} names v{number}, which is none of {numbers}")
        return Findings(lost, wrong)
    except Exception as error:
        return Findings(list(ledger.versions), [f"the repository can't be read: {error!r}"])


def _by_reader(reader: Reader, spec: str) -> Content | str:
    """A version's content, or why there is none."""
    name, _, number = spec.rpartition(":v")
    try:
        version = _state(reader, name)["versions"][int(number)]
        if not version["live"]:
            return "deleted"
        files = reader.files(version["id"])
        return {os.fsdecode(path): [kind == 1, _digest(reader.read(digest))] for path, kind, _, digest in files}
    except Exception as error:
        return repr(error)


def _by_package(repository: Repository, spec: str) -> Content | str:
    try:
        found = repository.find(spec)
        files = repository.walk(found.tree)
        return {
            os.fsdecode(path): [entry[1] == 1, _digest(b"".join(repository.content(entry)))]
            for path, entry in files
            if entry[1] < 2
        }
    except Exception as error:
        return repr(error)


def _alias(root: Path, spec: str) -> int | None:
    name, _, alias = spec.partition(":")
    try:
        state = _state(Reader(root), name)
    except KeyError:
        return None
    id = state["aliases"].get(alias)
    return next((number for number, version in state["versions"].items() if version["id"] == id), None)


def _state(reader: Reader, name: str) -> dict[str, Any]:
    """A collection's state, where it was moved from that name to another."""
    state = reader.state(DEFAULT_ENTITY, DEFAULT_PROJECT, name)
    return reader.state(*state["redirect"]) if state["redirect"] else state


def content_of(folder: Path) -> Content:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): [bool(path.stat().st_mode & 0o100), _digest(path.read_bytes())] for path in files
    }


def content_from(files: dict[str, bytes]) -> Content:
    """The content that `Place.write` makes of these files."""
    return {name.removesuffix("*"): [name.endswith("*"), _digest(data)] for name, data in files.items()}


def _digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def _compare(what: str, expected: Content, found: Content | str, reader: str) -> list[str]:
    if found == expected:
        return []
    if isinstance(found, str):
        return [f"{what} ({reader}): {found}"]
    differing = [path for path in sorted(expected.keys() | found.keys()) if expected.get(path) != found.get(path)]
    return [f"{what} ({reader}) differs in {', '.join(differing)}"]
