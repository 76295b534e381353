"""Every decoder as a function of one input, which checks what comes out; it raises what the decoder does, or an AssertionError.

What asks for a digest of its own first gets the right one where somebody else may have written all of it (a pack's name, an
entry's `check`), and the one in the input where it only tells damage (checkpoints and caches).
"""

import atexit
import io
import json
import os
import shutil
import tempfile
import unicodedata
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import msgpack
import pytest

from artstore.api.tables.table import Table
from artstore.backends import owner
from artstore.backends.storage import FolderStorage
from artstore.domain import collection as state
from artstore.domain import ignore, kinds
from artstore.domain import run as runs
from artstore.domain.changes import LogEntry, check_change
from artstore.domain.codec import decode, decode_json, encode_json, encode_rows
from artstore.domain.digest import Digest, pack_digest, plain_digest
from artstore.domain.filters import Count, Time, fields_of, matches, parsed
from artstore.domain.names import (
    check_alias,
    check_component,
    check_name,
    check_project,
    check_tag,
    file_name_of,
    name_from,
    normal_path,
    parse_path,
    parse_spec,
    printable,
    windows_problem,
)
from artstore.domain.properties import property_digests
from artstore.domain.tree import PART, check_root, decode_tree, read_folder, totals, tree_digest
from artstore.domain.version import decode_version
from artstore.errors import Damage, InvalidValue, NoEntry
from artstore.operations.finding.caches import FolderCache
from artstore.operations.finding.catalog import Catalog, decoded_run, row_of_run
from artstore.operations.saving.sealing import _history_part
from artstore.store import index
from artstore.store.checkouts import Checkouts
from artstore.store.layout import check_format
from artstore.store.logs import check_of, decode_checkpoint, decode_entry, encode_checkpoint
from artstore.store.metrics import rows_of, whole_rows
from artstore.store.packfile import check_rows, known_index, open_pack
from artstore.store.packs import FOOTER, HEADER, ROW
from artstore.store.refs import Refs
from artstore.store.runs import Runs, may_live
from artstore.store.settings import KEYS, Settings
from artstore.store.statcache import StatCache
from artstore.store.verified import VerifiedNotes
from artstore.sync.notes import Tracking
from tests.guarantees.fuzz import seeds

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A file system in memory, where there is one: some targets write small files by the hundred thousand."""


@cache
def _place() -> FolderStorage:
    """A place whose files are the inputs."""
    folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", MEMORY))
    atexit.register(shutil.rmtree, folder)
    for name in ("cache/stat", "checkouts", "remotes/r/refs/x", seeds.IMAGES.folder, seeds.R1.folder, "tmp"):
        os.makedirs(f"{folder}/{name}")
    return FolderStorage(folder)


def _write(path: str, data: bytes) -> FolderStorage:
    storage = _place()
    with open(f"{storage.root}/{path}", "wb") as file:
        file.write(data)
    return storage


def _text(data: bytes) -> str:
    """Any text, lone surrogates too, as JSON and file names may hold them."""
    return data.decode("utf-8", "surrogateescape")


# -- objects --


def fuzz_codec(data: bytes) -> None:
    for rows in (False, True):
        assert encode_rows(decode(data, "it", rows=rows)) == data


def fuzz_json(data: bytes) -> None:
    assert encode_json(decode_json(data, "it")) == data


def fuzz_tree(data: bytes) -> None:
    digest = tree_digest(data)
    entries = decode_tree(data, digest)
    assert encode_rows(entries) == data
    check_root(entries)
    size, files = totals(entries)
    if all(entry[1] != PART for entry in entries):
        read_folder(digest, lambda asked: data, (b"x", 2, size, digest, files))
    else:
        with pytest.raises(Damage):
            read_folder(digest, lambda asked: data)


def fuzz_version(data: bytes) -> None:
    assert decode_version(data, Digest(bytes(32))).encode() == data


def fuzz_pack(data: bytes) -> None:
    end = len(data) - FOOTER.size
    count, offset, _, magic = FOOTER.unpack(data[end:]) if end >= 0 else (0, 0, b"", b"")
    name = pack_digest(data[:HEADER], data[offset : offset + count * ROW.size])
    if end >= 0:
        data = data[:end] + FOOTER.pack(count, offset, name, magic)
    known_index(pack_digest(data[:HEADER], data[HEADER:]).hex(), data)
    pack = open_pack(name.hex(), len(data), lambda at, length: data[at : at + length])
    found = [pack.index.row(number) for number in range(pack.index.count)]
    for number, row in enumerate(found):
        pack.index.find(row.digest), pack.object(row), pack.peek(number)
    if check_rows(pack) is None:
        assert [pack.index.find(row.digest) for row in found] == list(range(pack.index.count))
        objects = b"".join(
            pack.read_range(row.offset, row.length) for row in sorted(found, key=lambda row: (row.offset, row.length))
        )
        rows = b"".join(ROW.pack(row.digest, row.kind, 0, 0, row.length, row.offset) for row in found)
        assert (
            pack.index.header + objects + rows + FOOTER.pack(pack.index.count, pack.index.objects_end, name, magic)
            == data
        )


def fuzz_index(data: bytes) -> None:
    found = index.decode(data)
    if found is not None:
        assert found.encode() == data
        for at in range(0, len(data), index.STRIDE):
            assert all(pack in found.packs for pack, _ in found.places(data[at : at + 32]))


# -- logs --


def entry_of(changes: Any, number: int, prev: str | None) -> LogEntry:
    """Decoded from what a log would hold."""
    return decode_entry(seeds.entry(number, prev, changes), number, "it")


def fuzz_entry(data: bytes) -> None:
    try:
        value = json.loads(data)
        sealed = {**value, "check": check_of({key: item for key, item in value.items() if key != "check"})}
        data = encode_json(sealed)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass  # as it is, then
    entry = decode_entry(data, 1, "it")
    named = dict(
        zip(
            ("changes", "number", "prev", "time", "host", "user", "write"), (entry.changes, 1, *entry[2:7]), strict=True
        )
    )
    named |= {"author": entry.author} if entry.author is not None else {}
    assert encode_json(named | {"check": check_of(named)}) == data


def _entries(data: bytes) -> list[LogEntry]:
    """A log of the lists of changes in lines; those that no file could hold are left out."""
    found: list[LogEntry] = []
    for line in data.splitlines()[:20]:
        try:
            changes = json.loads(line)
            encode_json(changes)
        except (ValueError, RecursionError):
            continue
        found.append(entry_of(changes, len(found) + 1, found[-1].digest if found else None))
    return found


def fuzz_collection(data: bytes) -> None:
    made = state.State(state.Path("local", "digits", "images"))
    for entry in _entries(data):
        kinds.fold(made, entry)
        _look_at(made)
    kept = encode_checkpoint(made.number, made.digest or "", made.plain())
    again = state.State.from_plain(decode_checkpoint(kept, "it")[2])
    assert encode_rows(again.plain()) == encode_rows(made.plain())


def _look_at(made: state.State) -> None:
    """What commands ask of a collection."""
    assert made.path.folder.count("/") == 3
    taken, aliases = made.taken, made.all_aliases()
    assert len(taken) == len(made.versions) and made.next > max(taken, default=-1)
    for version in made.live():
        assert version["updated"] and set(version.get("tags", [])) is not None
        property_digests(version), state.digest_of_state(version), state.id_of_state(version)
    assert aliases.keys() <= made.versions.keys()
    assert made.holds_links or made.latest or not made.live()


def fuzz_run(data: bytes) -> None:
    made = runs.RunState(runs.RunPath("", "", ""))
    for entry in _entries(data):
        runs.fold(made, entry)
        made.blobs(), made.path.folder, may_live(made.owner, True)
        (made.started[:10], made.seen[:10])
    kept = encode_checkpoint(made.number, made.digest or "", made.plain())
    again = runs.RunState.from_plain(decode_checkpoint(kept, "it")[2])
    assert encode_rows(again.plain()) == encode_rows(made.plain())


def _nobody() -> tuple[None, None]:
    return None, None


@cache
def _logs() -> tuple[Refs, Runs]:
    """Of a place that holds one collection and one run, of one entry each; their checkpoints change."""
    storage = _write(f"{seeds.IMAGES.folder}/00000001.json", seeds.FIRST)
    _write(f"{seeds.R1.folder}/00000001.json", seeds.FIRST_OF_RUN)
    return Refs(storage, identity=_nobody), Runs(storage, identity=_nobody)


def fuzz_checkpoint(data: bytes) -> None:
    """Whatever is damaged in one, the collection is what its entries say."""
    refs, _ = _logs()
    _write(f"{seeds.IMAGES.folder}/00000001.checkpoint", data)
    assert encode_rows(refs.read(seeds.IMAGES).plain()) == encode_rows(seeds.folded_collection().plain())


def fuzz_run_checkpoint(data: bytes) -> None:
    _, found = _logs()
    _write(f"{seeds.R1.folder}/checkpoint", data)
    told = seeds.folded_run()
    assert encode_rows(found.read(seeds.R1).plain()) == encode_rows(told.plain())
    row = row_of_run(found, seeds.R1.folder)[1]
    assert decoded_run(row).path == str(seeds.R1)


class _Sealing:
    """Takes the blobs of a history that is sealed, and forgets them."""

    def add_bytes(self, data: bytes) -> Digest:
        return plain_digest(data)


def fuzz_history(data: bytes) -> None:
    for row in rows_of(whole_rows(data)):
        assert type(row["_step"]) is int
    check_change(runs.KINDS, _history_part(_Sealing(), "history.x", data))  # type: ignore[arg-type]


# -- what lies beside --


def fuzz_format(data: bytes) -> None:
    id, features = check_format(_write("format", data), "read")
    assert len(id) == 32 and features.keys() == {"read", "write", "gc"}


def fuzz_config(data: bytes) -> None:
    by_file = len(data) % 16 == 0  # a few: files take long
    settings = Settings(_write("config", data).root if by_file else None)
    if not by_file:
        settings._values = settings._parsed(data.decode("utf-8", "replace"))
    assert settings.project and settings.entity and settings.grace(True) >= 0
    before = {key: settings.value(key) for key in KEYS}, settings.auto_fetch, settings.remotes()
    if by_file:
        settings.identity()
        settings.set("core.project", "other")
        before[0]["core.project"] = "other"
        assert ({key: settings.value(key) for key in KEYS}, settings.auto_fetch, settings.remotes()) == before


def fuzz_owner(data: bytes) -> None:
    text = _text(data)
    for found in (owner.parse(text), owner.left_by(text)):
        if found is not None:
            assert not (owner.is_dead(found, local=True) and owner.is_alive(found))
            assert owner.parse(str(found)) == found


def fuzz_checkouts(data: bytes) -> None:
    for noted in Checkouts(_write("checkouts/x.json", data)).all():
        noted.selection.takes(b"a/b"), noted.collection.folder


def fuzz_tracking(data: bytes) -> None:
    for name in ("id.json", "runs-pushed.json", "refs/x/settled.json"):
        _write(f"remotes/r/{name}", data)
    tracking = Tracking(_place(), "r")
    assert isinstance(tracking.id(), str | None)
    assert all(isinstance(id, str) for id in tracking.settled("refs/x"))
    noted = tracking.noted_runs("pushed")
    assert all(number >= 0 for number in (*noted.told.values(), *noted.unrelated.values()))


def fuzz_statcache(data: bytes) -> None:
    """What a record holds beyond its own fields counts on its seal: who can forge that (the fuzzer sees what it is compared
    with) can tell of any file.
    """
    storage = _place()
    cache = StatCache(_write(StatCache(storage, "/data")._path, data), "/data")
    for path in (b"", b"c"):
        if (found := cache.get(path)) is not None:
            with suppress(ValueError, TypeError, msgpack.UnpackException):
                found.known()


def fuzz_catalog(data: bytes) -> None:
    refs, found = _logs()
    table = Catalog(FolderCache(_write("cache/runs.catalog", data)), found, refs, damaged=None)._load("runs")
    for row in table.rows:
        decoded_run(row)


def fuzz_verified(data: bytes) -> None:
    notes = VerifiedNotes(_write("cache/verified", data))
    status = os.stat("/")
    for at in range(0, len(data), 72):
        assert not notes.holds(Digest(data[at : at + 32]), status)
        notes.contradicts(Digest(data[at : at + 32]), status)


# -- tables --


def _no_entry(path: str) -> Any:
    raise NoEntry(f"there is no {path}")


def fuzz_table(data: bytes) -> None:
    table = Table.read(lambda: io.BytesIO(data), _no_entry, "it")
    for row in table.data:
        assert len(row) == len(table.columns)


_ARRAY = {"wb_type": "ndarray", "params": {"serialization_path": {"key": "column", "path": "x.npz"}}}
_AROUND = {"column_types": {"params": {"type_map": {"a": _ARRAY}}}, "columns": ["a"], "data": [[None], [None]]}


def fuzz_arrays(data: bytes) -> None:
    Table.read(lambda: io.BytesIO(encode_json(_AROUND)), lambda path: io.BytesIO(data), "it")


# -- text --


def fuzz_names(data: bytes) -> None:
    text = _text(data)
    assert printable(text).isprintable() and printable(data).isprintable()
    windows_problem(data)
    for check in (check_name, check_project, lambda text: as_spec(text).name, lambda text: name_from(text)):
        try:
            name = check(text)
        except InvalidValue:
            continue
        assert check_project(name) == name == unicodedata.normalize("NFC", name)
        folded = file_name_of(name)
        assert 1 <= len(folded) <= 240 and folded not in (".", "..") and not set(folded) & set("/\\:\0")
        assert file_name_of(name.upper().lower()) == file_name_of(name.lower().upper()) or not name.isascii()
    for rule in (check_alias, check_tag):
        try:
            assert rule(rule(text)) == rule(text) == unicodedata.normalize("NFC", text)
        except InvalidValue:
            pass
    for path in (text, normal_path(text)):
        try:
            parts = parse_path(path)
        except InvalidValue:
            continue
        assert all(check_component(part) for part in parts)


def as_spec(text: str) -> Any:
    spec = parse_spec(text)
    ending = f":{spec.alias}" if spec.alias else f"@{spec.digest}" if spec.digest else ""
    ending = f":v{spec.number}" if spec.number is not None else ending
    parts = [part for part in spec[:3] if part is not None]
    assert parse_spec("/".join(parts) + ending) == spec
    return spec


def fuzz_ignore(data: bytes) -> None:
    *patterns, path = _text(data).split("\n")
    rules = ignore.Rules(patterns, "")
    for folder in (False, True):
        rules.match(path, folder)
    ignore.PathFilter(patterns, patterns[:1]).passes(path)


_SAYS: dict[str, Any] = {
    "name": "data", "tags": ["best", "2024"], "version": Count(3), "size": Count(9), "created": Time("2026-11-22T10:00:00.123456Z"),
    "metadata": {"accuracy": 0.93, "a": {"b": "x"}, "a.b": None, "list": [1, "a", None, True]}, "description": None,
}  # fmt: skip


def fuzz_filters(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of `re`, for the user to see
        matches(parsed(tuple(_text(data).split("\n"))), fields_of(_SAYS, ("metadata",), {"v": "version"}))
