"""Valid inputs of every target, made by the package itself and the same each time, and words that mutations put in."""

import io
import os
import tempfile
from typing import Any

from artstore.api.media.histogram import Histogram
from artstore.api.media.html import Html
from artstore.api.media.overlays import Classes
from artstore.api.tables.columns import NUMBER, TIMESTAMP, as_optional
from artstore.api.tables.file import Head, write_table
from artstore.api.tables.table import Table
from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage
from artstore.domain import collection as state
from artstore.domain import kinds
from artstore.domain import run as runs
from artstore.domain.codec import encode_json, encode_rows
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, digest_of, pack_digest
from artstore.domain.tree import encode_folder
from artstore.domain.version import VersionRecord
from artstore.operations.finding.catalog import _Table
from artstore.store import index, verified
from artstore.store.layout import new_format
from artstore.store.logs import check_of, decode_entry, encode_checkpoint, with_author
from artstore.store.packfile import known_index
from artstore.store.packs import FOOTER, HEADER, MAGIC, PackWriter
from artstore.store.statcache import Record, RecordPart, StatCache, signature

ID, OTHER, TREE_HEX = "1" * 64, "2" * 64, "3" * 64
DIGEST = Digest(bytes.fromhex(ID))
TIME = "2026-11-21T09:30:00.123456Z"
BY = {"host": "far", "time": TIME, "user": None}
PLACE = {"entity": "local", "project": "digits", "name": "images"}
CREATED = 1_700_000_000_000_000_000
VERSION_FIELDS = {"id": ID, "number": 0, "digest": TREE_HEX, "size": 7, "files": 2, "created": CREATED, "run": None, "parents": []}  # fmt: skip

COLLECTION: dict[str, dict[str, Any]] = {
    "collection": {**PLACE, "type": "dataset"},
    "version": VERSION_FIELDS,
    "link": {**VERSION_FIELDS, "id": OTHER, "number": 1, "run": "local/digits/r1", "parents": [ID], "source": {**PLACE, "number": 3}},
    "part": {"upsert": "job-1", "tree": TREE_HEX, "size": 5, "files": 1, "writer": "w", "run": None},
    "alias": {"alias": "prod", "id": ID, "old": None},
    "tags": {"id": ID, "add": ["good"], "remove": ["bad"]},
    "metadata": {"id": ID, "set": {"lr": 0.1, "layers": [1, {"width": None}]}, "blobs": {"long": OTHER}, "remove": ["old"]},
    "description": {"id": None, "old": {"blob": OTHER}, "new": "Scanned in May.", "blob": None},
    "ttl": {"id": ID, "old": "inherit", "new": 86400},
    "keep": {"old": None, "new": "last:3, best:loss:min"},
    "origins": {"id": ID, "entries": {"a/b": {**PLACE, "number": 3, "id": OTHER, "path": "a/b"}}, "blob": None},
    "extras": {"id": ID, "entries": {"a/b": {"label": "cat", "boxes": [[1, 0.5], {"k": None}]}}, "blob": None},
    "part extras": {"upsert": "job-1", "tree": TREE_HEX, "blob": OTHER},
    "drop": {"upsert": "job-2", "tree": TREE_HEX},
    "finish": {"upsert": "job-1", "id": ID},
    "renumber": {"numbers": {ID: 4, OTHER: 0}},
    "delete": {"id": ID, "reason": "too old"},
    "undelete": {"id": ID},
    "withdraw": {"id": OTHER, "reason": None},
    "delete collection": {"ids": [ID]},
    "not moved": {**PLACE, "name": "other"},
    "moved from": {**PLACE, "name": "older", "number": 2, "digest": OTHER},
    "moved to": {**PLACE, "name": "newer"},
}  # fmt: skip
"""Changes of every kind, in an order in which they can be applied."""

_EDGE = {**PLACE, "id": ID, "number": 0, "type": "dataset", "digest": TREE_HEX, "size": 7, "created": CREATED}
RUN: dict[str, dict[str, Any]] = {
    "start": {"entity": "local", "project": "digits", "run": "r1", "job_type": "train", "group": None, "owner": "h-0.b.1.2.3.4",
              "command": ["train.py", "--lr", "0.1"], "git": {"commit": "abc", "dirty": True}},
    "label": {"name": "first", "notes": None, "tags": ["x"]},
    "config": {"set": {"lr": 0.1, "deep": {"a": [1]}}, "remove": ["old"]},
    "summary": {"set": {"loss": 0.5}, "remove": []},
    "define": {"metric": "val/*", "keep": ["min", "last"]},
    "used": {**_EDGE, "as": "input"},
    "logged": {**_EDGE, "id": OTHER},
    "history": {"part": "history.h-0.b.1.2.3.4", "rows": 1, "first": 0, "last": 0, "text": '{"_step":0}\n', "blob": None},
    "files": {"part": "files.h-0.b.1.2.3.5", "tree": TREE_HEX, "size": 7, "files": 2, "replaces": ["files.h-0.b.1.2.3.4"]},
    "finish": {"state": "finished", "code": 0},
    "delete": {},
}  # fmt: skip


def changes(table: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a table above, with ids; every third says by whom it was made elsewhere."""
    made = [{"change": f"{i:032}", "kind": kind, **fields} for i, (kind, fields) in enumerate(table.items())]
    return [change | ({"by": BY} if i % 3 == 2 else {}) for i, change in enumerate(made)]


def lines(table: dict[str, dict[str, Any]]) -> list[bytes]:
    """Inputs of a log: lines of lists of changes, an entry each."""
    made = changes(table)
    one_each = b"".join(encode_json([change]) for change in made)
    first = 4 if table is COLLECTION else 1  # what the others are said of
    return [encode_json(made), one_each, *(encode_json([*made[:first], change]) for change in made[first:])]


def entry(number: int, prev: str | None, made: list[dict[str, Any]]) -> bytes:
    """As a log holds it."""
    value = {"changes": made, "host": "here", "number": number, "prev": prev, "time": TIME, "user": "me", "write": "0" * 32}  # fmt: skip
    return encode_json(value | {"check": check_of(value)})


def codec() -> list[bytes]:
    values = [
        None,
        True,
        0,
        255,
        -129,
        1 << 40,
        "text",
        b"bytes",
        "x" * 300,
        [1, [2, []]],
        {"a": 1, "b": {"c": [b"d"]}},
    ]
    return [encode_rows(value) for value in values]


def trees() -> list[bytes]:
    found: list[bytes] = []

    def add(data: bytes) -> Digest:
        found.append(data)
        return digest_of(TREE, data)

    digest = digest_of(BLOB, b"x")
    rows: list[tuple[Any, ...]] = [
        (b"a", 0, 1, digest), (b"b", 1, 1 << 40, digest), (b"c", 2, 9, digest, 3), (b"d", 4, None, "s3://b/k", "etag", "e", None),
        (b"e", 4, 5, "file:///x", "blake3", ID, "1"),
    ]  # fmt: skip
    for entries in ([], rows[:1], rows, [(b"%03d" % i, 0, 1, digest) for i in range(40)]):
        encode_folder(entries, add)
    return [*found, encode_rows([(b"a", 3, 1, digest, 1), (b"m", 3, 2, digest, 2)])]


def versions() -> list[bytes]:
    return [
        VersionRecord(DIGEST, 0, 0, "model", 0, None, ()).encode(),
        VersionRecord(DIGEST, 7, 2, "dataset", CREATED, "local/digits/r1", (bytes(32), DIGEST)).encode(),  # type: ignore[arg-type]
    ]


def packs() -> list[bytes]:
    found = []
    for objects in (
        [],
        [(BLOB, b"")],
        [(BLOB, b"one"), (BLOB, b"two" * 20), (TREE, trees()[0]), (VERSION, versions()[0])],
    ):
        with tempfile.TemporaryDirectory() as folder:
            writer = PackWriter(f"{folder}/pack")
            for kind, data in objects:
                writer.add(kind, digest_of(kind, data), data)
            writer.finish()
            with open(writer.path, "rb") as file:
                found.append(_without_chance(file.read()))
    return found


def _without_chance(data: bytes) -> bytes:
    """A pack with zeros for its random bytes, renamed."""
    header, end = MAGIC + bytes(HEADER - len(MAGIC)), len(data) - FOOTER.size
    count, offset, _, magic = FOOTER.unpack(data[end:])
    name = pack_digest(header, data[offset:end])
    return header + data[HEADER:end] + FOOTER.pack(count, offset, name, magic)


def indexes() -> list[bytes]:
    opened = []
    for data in packs():
        count, offset, name, _ = FOOTER.unpack(data[-FOOTER.size :])
        pack_index = known_index(name.hex(), data[:HEADER] + data[offset : -FOOTER.size])
        assert pack_index is not None and pack_index.count == count
        opened.append(pack_index)
    return [index.build(opened[:n]).encode() for n in range(len(opened) + 1)]


def entries() -> list[bytes]:
    made = changes(COLLECTION)
    found = [entry(1, None, made[:2]), entry(1, "0" * 64, []), entry(1, None, changes(RUN))]
    return [*found, with_author(found[0], 1, "ci", "it")]


IMAGES, R1 = state.Path("local", "digits", "images"), runs.RunPath("local", "digits", "r1")
FIRST, FIRST_OF_RUN = entry(1, None, changes(COLLECTION)[:15]), entry(1, None, changes(RUN)[:-1])


def folded_collection() -> state.State:
    made = state.State(IMAGES)
    kinds.fold(made, decode_entry(FIRST, 1, "it"))
    return made


def folded_run() -> runs.RunState:
    made = runs.RunState(R1)
    runs.fold(made, decode_entry(FIRST_OF_RUN, 1, "it"))
    return made


def checkpoints() -> list[bytes]:
    made = folded_collection()
    return [encode_checkpoint(1, made.digest or "", made.plain())]


def run_checkpoints() -> list[bytes]:
    made = folded_run()
    return [encode_checkpoint(1, made.digest or "", made.plain())]


def catalogs() -> list[bytes]:
    table = _Table()
    row = (TIME, "local", "digits", "r1", "first", None, None, "me", "", "finished", None, [["used", ID, *PLACE.values(), 0, "t", 7, CREATED]])  # fmt: skip
    table.add("runs/local/digits/r1", CREATED, TIME, encode_rows(row))
    return [made.encode() for made in (_Table(), table)]


def statcaches() -> list[bytes]:
    packed = encode_rows(
        [(b"a", 0, 1, DIGEST), (b"c", 2, 9, DIGEST, 3), (b"d", 4, None, "s3://b/k", "etag", "e", None)]
    )
    sig = signature({"a": (33188, 1, 1, 2, 3)})
    made = Record(sig, DIGEST, 10, 5, ((b"c", DIGEST),), (RecordPart(None, packed),), ())
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(folder)
        os.mkdir(f"{folder}/tmp")
        cache = StatCache(storage, "/data")
        cache.put(b"", made)
        cache.put(b"c", made)
        cache.save("note")
        return [storage.read(cache._path)]


def notes() -> list[bytes]:
    return [encode_json({"id": "0" * 32, "settled": ["0" * 32], "runs/local/p/r": 3})]


def checkout_notes() -> list[bytes]:
    value = {"place": "/data", "collection": ["local", "digits", "images"], "id": ID, "number": 3, "name": None, "prefix": "a/",
             "include": ["*.png"], "exclude": []}  # fmt: skip
    return [encode_json(value), encode_json(value | {"name": "f", "include": []})]


def verified_notes() -> list[bytes]:
    return [verified._NOTE.pack(DIGEST, 1, 2, 3, 4, 5) * 2]


def tables() -> list[bytes]:
    out = io.BytesIO()
    types = {
        "n": as_optional(NUMBER),
        "t": TIMESTAMP,
        "v": {"wb_type": "list", "params": {"element_type": NUMBER, "length": 2}},
    }
    rows = [[1, 1_700_000_000_123, [1, 2]], [None, None, [3, 4]]]
    write_table(out, Head(["n", "t", "v"], types, {"t": "naive", "v": "array <i8"}), rows, 2)
    empty = io.BytesIO()
    Table(columns=["a", 7]).write(empty, lambda path, data: None)
    media = io.BytesIO()
    cells = [Html("<p>"), Histogram(np_histogram=([1], [0, 1])), Classes([{"id": 1, "name": "a"}])]
    Table(columns=["h", "n", "c"], data=[cells, [None] * 3]).write(media, lambda path, data: None)
    bare = b'{"data": [], "columns": [], "column_types": {}}'
    return [out.getvalue(), empty.getvalue(), media.getvalue(), bare]


def arrays() -> list[bytes]:
    """Files beside a table that hold a column of arrays."""
    import numpy as np

    kept: list[bytes] = []
    for cells in (np.zeros((2, 2, 2)), np.arange(400).reshape(2, 200), np.array([["a", "b"]] * 2)):
        table = Table(columns=["a"], data=[[cell] for cell in cells])
        table.write(io.BytesIO(), lambda path, data: kept.append(data))
        plain = io.BytesIO()
        np.savez(plain, column=cells)
        kept.append(plain.getvalue())
    return kept


def formats() -> list[bytes]:
    value = new_format() | {"id": "0" * 32}
    return [encode_json(value), encode_json(value | {"features": {"gc": ["x"], "read": [], "write": ["y", "z"]}})]


def owners() -> list[bytes]:
    own = this_process()
    name = ".".join(("h-0123456789ab", own.boot, own.namespace, "1", "2", "3"))
    return [name.encode(), f"data.artstore-{name}.x".encode(), b"h.b.1.2.3.4"]


CONFIG = b'[core]\nproject = digits\nidentity = off\n\n# ours\n[gc]\ngrace = 12h\n[remote "origin"]\nurl = s3://bucket/path\npartial = true\n'
HISTORY = [b'{"_step":0,"loss":0.5}\n{"_step":1,"loss":null,"x":{"y":[1]}}\n', b'{"_step":7}\n{"_st', b""]
NAMES = [
    b"local/digits/images:prod", b"images:v3", b"wandb-registry-models/m@0123abcd", "größe".encode(), "हिन्दी".encode(), b"a/b/../c.txt",
    b"C:/x", b"..\\x", b"con.txt", b"./a//b/", b"nul", b".hidden.", b"a b", "e\u0301".encode(), "\u0130".encode(), "\u1e9e".encode(),
]  # fmt: skip
IGNORE = [
    b"*.pyc\n!keep.pyc\nkeep.pyc",
    b"/build/\nbuild",
    b"a/**/b\na/x/y/b",
    b"**/x*[!a-z]?\\ \nd/x1e",
    b"#\n\\#x\n#x",
    b"a/**\na/b/c",
]
FILTERS = [
    b"metadata.accuracy>=0.9", b"name~^da", b"tags=best\nsize<10", b"created>2026-11-22T10:00+02:00", b"version!=3",
    b'{"$or": [{"name": {"$regex": "a|b"}}, {"$not": {"tags": {"$in": ["x", 1]}}}], "$nor": [{"size": {"$exists": false}}]}',
    b'{"created": {"$gte": "2026-11-22 10:00:00.5", "$lt": 2027}, "metadata.a.b": {"$contains": "x", "$ne": null}}',
]  # fmt: skip

KEYS = sorted({key for table in (COLLECTION, RUN) for fields in table.values() for key in fields} | {*COLLECTION, *RUN})
LOG_WORDS = (*KEYS, "change", "kind", "by", "host", "user", "time", "inherit", "latest", ID, OTHER, TREE_HEX)
ENTRY_WORDS = ("author", "changes", "check", "number", "prev", "write", *LOG_WORDS)
CONFIG_WORDS = ("core.project", "[DEFAULT]", "[core]", '[remote "', '"]', "url", "partial", "entity", "identity", "auto_fetch", "=", ":", "%(x)s", "\n ", "#", ";")  # fmt: skip
NAME_WORDS = ("/", ":", "@", "v0", "latest", "..", "\\", "wandb-registry-", "\u0130", "\u0345", "\u1e9e", "ß", "\u00b9", "com¹", "%", "\0", "\u202e", " ", "-", "x" * 128)  # fmt: skip
IGNORE_WORDS = ("*", "**", "/", "**/", "/**", "?", "[", "]", "[!", "[^", "a-z", "z-a", "\\", "!", "#", " ", "&&", "||", "--", "~~", "[:alpha:]")  # fmt: skip
FILTER_WORDS = ("$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$contains", "metadata.", "created", "size", "tags", "name", ">=", "<", "~", "=", "(", ")", "{9}", "{99999999999}", "(?i)", "[", "*", "+", "\\1", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "e999")  # fmt: skip
TABLE_WORDS = ("_type", "column_types", "column_forms", "columns", "data", "params", "type_map", "wb_type", "allowed_types", "element_type", "list", "union", "none", "number", "timestamp", "typedDict", "ndarray", "serialization_path", "shape", "naive", "date", "array <i8", "array <M8[us]", "array <U5", "array |b1", "NaN", "Infinity", "1e999")  # fmt: skip
