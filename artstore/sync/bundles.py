"""Bundles: versions with the changes of their logs in one file, for hosts without a network.

A bundle is a repository in a zip without compression. It has what a push of its versions would send to a place that
holds the versions on which the bundle builds. Applying a bundle is a pull from it.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, NamedTuple

from artstore.backends.addresses import path_here
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import PLACE, is_count, is_digest, is_record
from artstore.domain.collection import Path, is_live
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, walk
from artstore.domain.wording import typed
from artstore.errors import ArtstoreError, Damage, InvalidValue, NotFound, Refused, UnsupportedFormat, translated
from artstore.operations.finding.lookup import Version
from artstore.operations.upkeep.removal import is_of_dead
from artstore.progress import Monitor
from artstore.store.layout import FOLDERS, make
from artstore.store.outside import new_file_outside
from artstore.store.packs import LARGE
from artstore.store.paths import blob_path
from artstore.store.settings import Settings
from artstore.store.sides import AnyStore
from artstore.store.store import Store
from artstore.store.transaction import Transaction
from artstore.sync.exchange import Exchanged, ExchangeOptions
from artstore.sync.notes import FOLDER, Tracking
from artstore.sync.place import open_remote
from artstore.sync.pull import Pull
from artstore.sync.push import Push
from artstore.sync.remotes import Remotes

_NAME = "bundle-"
"""The beginning of a bundle's name while it is used as a remote. The owner of the transaction follows."""
_ABOUT = "bundle.json"
_FORM = 1
_MEMBER = re.compile(
    r"format|(refs|runs)/([^/\0]{1,255}/){3}[^/\0]{1,255}|objects/packs/[0-9a-f]{64}\.pack|objects/blobs/[0-9a-f]{2}/[0-9a-f]{64}"
)
_LONGEST = 16 << 20
"""Bytes of bundle.json. A longer one is refused."""
_is_need = is_record({**PLACE, "number": is_count, "id": is_digest})


class Need(NamedTuple):
    """A version that a bundle builds on."""

    path: Path
    number: int
    id: str

    def fields(self) -> dict[str, Any]:
        """The JSON fields of the version in bundle.json."""
        return {**self.path.fields(), "number": self.number, "id": self.id}


class Bundled(NamedTuple):
    """The result of making or applying a bundle."""

    exchanged: Exchanged
    needs: tuple[Need, ...]
    """versions on which the bundle builds"""
    bytes: int
    """of the bundle's file"""


class Bundles:
    """Makes and applies bundles of the repository here."""

    def __init__(self, storage: FolderStorage, here: Store, remotes: Remotes) -> None:
        self._storage = storage
        self._here = here
        self._remotes = remotes

    def create(self, file: str, specs: Iterable[str], base: list[Version], options: ExchangeOptions) -> Bundled:
        """Write versions to a new file, with all objects that they need and that the versions of `base` don't have.

        While it works, it needs as much space again in the repository.

        Args:
            specs: Versions, artifacts and projects. None means all.
            base: Versions that the receiver has.

        Raises:
            Refused: There is a file of that name.
            ArtstoreError: What a push raises.
        """
        if os.path.lexists(path_here(file)):
            raise Refused(f"{printable(file)} exists already", hint="choose another name")
        needs = tuple(Need(found.state.path, found.number, found.id) for found in base)
        with self._scratch() as (root, name):
            # 1. Make an empty repository in a transaction's folder, and push the base versions to it. Their large blobs
            #    are linked, since they are not part of the bundle.
            make(root)
            for found in base:
                self._link_large(root, found)
            with open_remote(root, Settings(None), here=self._storage, writing=True) as remote:
                if base:  # whole: the receiver may not have their segments
                    self._push(name, remote, [found.spec for found in base], options._replace(segments=False))
                known = {path for path in _files(root) if path.startswith("objects/")}
                # 2. Push the versions of the bundle: this adds only objects that the base versions don't have.
                exchanged = self._push(name, remote, specs, options)
            # 3. Write all files to the bundle except the objects of the base versions.
            about = {"artstore bundle": _FORM, "needs": [need.fields() for need in needs]}
            paths = [path for path in _files(root) if path not in known]
            size = _write(file, self._storage, root, about, paths, options.monitor)
        return Bundled(exchanged._replace(remote=file, url=file), needs, size)

    def _push(self, name: str, remote: AnyStore, specs: Iterable[str], options: ExchangeOptions) -> Exchanged:
        """Push to the repository of a bundle. If a collection is refused, raise its problem: a bundle has all
        or nothing.
        """
        return Push(self._remotes.exchange(name, remote, options)).run(self._remotes.scopes(specs)).whole()

    def apply(self, file: str, options: ExchangeOptions) -> Bundled:
        """Pull everything from a bundle. Every object is checked.

        Raises:
            NotFound: A version on which the bundle builds is not here. Nothing was changed.
            InvalidValue: The file isn't a bundle.
            Damage: The bundle is damaged. A collection of which a log or an object is damaged is refused.
        """
        with translated(f"read {printable(file)}"), open(file, "rb") as source, _zip(source, file) as archive:
            # 1. Look for the versions that it needs, before it is unpacked.
            needs = _needs(archive, file)
            for need in needs:
                self._require(need)
            # 2. Unpack it into a transaction's folder, and pull from there.
            with self._scratch() as (root, name):
                with translated(f"unpack {printable(file)}"):
                    _unpack(archive, root, file, options.monitor)
                try:
                    with open_remote(root, Settings(None), here=self._storage) as remote:
                        exchanged = Pull(self._remotes.exchange(name, remote, options)).run(self._remotes.scopes(()))
                except (NotFound, UnsupportedFormat) as error:
                    raise InvalidValue(f"{printable(file)} doesn't hold an artstore repository") from error
                except Damage as error:
                    raise _damaged(file, error) from error
            found = [m._replace(problem=_damaged(file, m.problem)) if m.problem else m for m in exchanged.collections]
            runs = tuple(run._replace(problem=_damaged(file, run.problem)) for run in exchanged.refused_runs)
            exchanged = exchanged._replace(remote=file, url=file, collections=found, refused_runs=runs)
            return Bundled(exchanged, needs, os.fstat(source.fileno()).st_size)

    def _require(self, need: Need) -> None:
        """Raise NotFound unless a version on which a bundle builds lives here."""
        version = self._here.refs.read(need.path).versions.get(need.id)
        name = f"{need.path}:v{need.number}"
        if version is None:
            hint = "apply the bundle that brings it first"
            raise NotFound(f"the bundle builds on {name} (id {need.id[:12]}), which is not here", hint=hint)
        if not is_live(version):
            raise NotFound(f"the bundle builds on {name}, which was deleted here", hint=f"{typed('undelete', name)}")

    @contextmanager
    def _scratch(self) -> Iterator[tuple[str, str]]:
        """Open a transaction for the repository of a bundle. Yields the path for it, and its name as a remote.

        The path doesn't exist yet. Both are removed at the end, with everything noted of the remote.
        """
        self._forget_dead()
        with Transaction(self._here.objects) as tx:
            name = f"{_NAME}{tx.owner}"
            try:
                yield tx.staged(), name
            finally:
                Tracking(self._storage, name).forget()

    def _forget_dead(self) -> None:
        """Remove the notes that killed processes left of their bundles."""
        for name in self._storage.names(FOLDER):
            if name.startswith(_NAME) and is_of_dead(self._storage, name.removeprefix(_NAME)):
                Tracking(self._storage, name).forget()

    def _link_large(self, root: str, found: Version) -> None:
        """Link the large blobs of a base version into a bundle's repository, so that the push doesn't copy them."""
        for _, entry in walk(found.tree, self._here.objects.read_tree):
            if entry.kind < DIRECTORY and entry.size >= LARGE:
                target = os.path.join(root, blob_path(entry.digest))
                try:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    os.link(self._storage.path(blob_path(entry.digest)), target)
                except OSError:
                    pass  # the push copies it


def _damaged(file: str, error: ArtstoreError) -> ArtstoreError:
    """The error for damage that a bundle brings; any other error as it is."""
    if not isinstance(error, Damage):
        return error
    return type(error)(f"{printable(file)} is damaged: {error}", hint=_AGAIN)


_AGAIN = "copy it here again, or create it again"


def _files(root: str) -> list[str]:
    """The paths of all files of a repository that may be in a bundle."""
    found = []
    for place, folders, names in os.walk(root):
        folders.sort()
        found += [os.path.relpath(os.path.join(place, name), root) for name in sorted(names)]
    return [path for path in found if _MEMBER.fullmatch(path)]


def _write(file: str, here: FolderStorage, root: str, about: dict[str, Any], paths: list[str], monitor: Monitor) -> int:
    """Write a bundle. It gets its name when it is whole and safe on disk. Returns its size in bytes."""
    monitor.start("writing the bundle")
    monitor.expect(len(paths), sum(os.path.getsize(os.path.join(root, path)) for path in paths))
    with translated(f"write {printable(file)}"), new_file_outside(file, here) as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_ABOUT), json.dumps(about, ensure_ascii=False))
            for path in paths:
                info = zipfile.ZipInfo(path)
                with open(os.path.join(root, path), "rb") as source:
                    info.file_size = os.fstat(source.fileno()).st_size
                    with archive.open(info, "w", force_zip64=True) as target:
                        _copy(source, target, monitor)
                monitor.advance(1)
        return out.tell()


def _copy(source: IO[bytes], target: IO[bytes], monitor: Monitor) -> None:
    """Copy all of a file."""
    while piece := source.read(1 << 20):
        target.write(piece)
        monitor.advance(0, len(piece))


def _zip(source: BinaryIO, file: str) -> zipfile.ZipFile:
    """Open a bundle as a zip. Raises InvalidValue if it isn't one."""
    try:
        begins_as_zip = source.read(4) == b"PK\3\4"
        if begins_as_zip and not zipfile.is_zipfile(source):
            raise Damage(f"{printable(file)} is damaged: its end is missing", hint=_AGAIN)
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InvalidValue(f"{printable(file)} is not a bundle, or was cut off: {error}") from error


def _needs(archive: zipfile.ZipFile, file: str) -> tuple[Need, ...]:
    """The versions on which a bundle builds, from its bundle.json. Raises InvalidValue, UnsupportedFormat."""
    try:
        info = archive.getinfo(_ABOUT)
        if info.file_size > _LONGEST or info.compress_size > _LONGEST or info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its {_ABOUT} is too large, or compressed")
        about = json.loads(archive.read(info))
        if about["artstore bundle"] != _FORM:
            form = f"{about['artstore bundle']!r:.40}"
            message = f"{printable(file)} has bundle format {form}; this artstore reads {_FORM}"
            raise UnsupportedFormat(message, hint="update artstore")
        needs = about["needs"]
        if not isinstance(needs, list) or not all(map(_is_need, needs)):
            raise ValueError("its list of needed versions is malformed")
    except (EOFError, zipfile.BadZipFile) as error:
        raise Damage(f"{printable(file)} is damaged at '{_ABOUT}': {error}", hint=_AGAIN) from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidValue(f"{printable(file)} is not a bundle: {error}") from error
    return tuple(Need(Path.named_by(need), need["number"], need["id"]) for need in needs)


def _unpack(archive: zipfile.ZipFile, root: str, file: str, monitor: Monitor) -> None:
    """Unpack a bundle into a new folder.

    Only files that a repository may have are accepted, and none that is compressed: so it needs no more space than the
    bundle has. Raises InvalidValue.
    """
    monitor.start("unpacking")
    os.mkdir(root)
    seen: set[str] = set()
    room = os.fstat(archive.fp.fileno()).st_size if archive.fp is not None else 0
    for folder in FOLDERS:
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    monitor.expect(len(archive.infolist()), sum(info.file_size for info in archive.infolist()))
    for info in archive.infolist():
        name = info.filename
        if name == _ABOUT:
            continue
        parts = name.split("/")
        if not _MEMBER.fullmatch(name) or {".", ".."} & set(parts) or "\\" in name or name in seen:
            raise InvalidValue(f"{printable(file)} is not a bundle: it holds '{printable(name[:200])}'")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise InvalidValue(f"{printable(file)} is not a bundle: '{printable(name[:200])}' is compressed")
        seen.add(name)
        room -= info.file_size
        if room < 0:  # members that overlap
            raise InvalidValue(f"{printable(file)} is not a bundle: its members are larger than the file")
        target = os.path.join(root, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            with archive.open(info) as source, open(target, "xb") as out:
                _copy(source, out, monitor)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise Damage(f"{printable(file)} is damaged at '{printable(name[:200])}': {error}", hint=_AGAIN) from error
        monitor.advance(1)
