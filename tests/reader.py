"""A reader made from FORMAT.md alone. Digests are hex text; whatever the page does not allow raises an exception."""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from blake3 import blake3
from msgpack import packb, unpackb

OBJECTS, DIRECTORY, PART, REFERENCE, SPLIT = {1: "blob", 2: "tree", 3: "version"}, 2, 3, 4, 16384
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
ENTRY = "[01]biib|[23]biibi|4bi[iN]sss[sN]"  # the kind, and what each field is: bytes, int, NoneType or str
NAME = rb"(?s)(?!\\|\.\Z|(.*\\)?\.\.(\\|\Z))[^/\0]{1,255}"
FORMAT = rb'{"artstore":1,"features":{"gc":\[.*\],"read":\[\],"write":\[.*\]},"id":"[0-9a-f]{32}"}\n'
FIELDS = """|alias: alias id old|collection: entity name project type|delete: id reason|delete collection: ids|
|description: blob id new old|metadata: blobs id remove set|moved from: digest entity name number project|
|moved to: entity name project|not moved: entity name project|renumber: numbers|tags: add id remove|ttl: id new old|
|undelete: id|withdraw: id reason|by: host time user|version: created digest files id number parents run size|
|link: created digest files id number parents run size source|origins: blob entries id|finish: id upsert|
|part: files run size tree upsert writer|drop: tree upsert|
|entry: changes check host number prev time user write|"""


def hashed(data: bytes, of: str = "blob") -> str:
    return (blake3(data) if of == "blob" else blake3(data, derive_key_context=f"artstore 2026-11-21 {of}")).hexdigest()


class Reader:
    def __init__(self, path: Path | str) -> None:  # finds all logs and objects, once
        path, self.damaged = Path(path), list[str]()
        assert re.fullmatch(FORMAT, (path / "format").read_bytes()), "not format 1, or with features we do not know"
        self.logs = {tuple(map(unquote, log.parts[-3:])): log for log in sorted(path.glob("refs/*/*/*"))}
        self.copies = {("blob", file.name): [(file, 0, -1)] for file in path.glob("objects/blobs/??/*")}
        for pack in sorted(path.glob("objects/packs/*.pack")):
            try:
                with pack.open("rb") as file:
                    header, end = file.read(24), file.seek(-56, 2)
                    count, start, name, magic = struct.unpack(">QQ32s8s", file.read())
                    index = file.read(end - file.seek(start))
                assert header[:8] + magic == b"ARTPACK\1ARTPKEND" and end - start == 48 * count, "malformed pack"
                rows = sorted({row[0]: row for row in struct.iter_unpack(">32sBxxxIQ", index)}.values())
                again = header + b"".join(struct.pack(">32sBxxxIQ", *row) for row in rows)
                assert hashed(again, "pack") == name.hex() == pack.stem, "wrong name, or index not in order"
                assert sorted([24, *(r[2] + r[3] for r in rows)]) == sorted([*(r[3] for r in rows), start]), "not tiled"
                for digest, kind, length, offset in rows:
                    if not (path / "bad" / f"{name.hex()}.{digest.hex()}").exists():
                        self.copies.setdefault((OBJECTS[kind], digest.hex()), []).append((pack, offset, length))
            except Exception as error:
                self.damaged.append(f"{pack.name}: {error!r}")

    def read(self, digest: str, kind: str = "blob") -> bytes:
        for path, offset, length in self.copies.get((kind, digest), []):
            with path.open("rb") as file:
                file.seek(offset)
                if hashed(data := file.read(length), kind) == digest:
                    assert kind == "blob" or packb(list(unpackb(data))) == data, f"{kind} {digest} is not canonical"
                    return data
        raise LookupError(f"{kind} {digest} is missing or damaged")

    def _tree(self, part: bool, size: int, digest: bytes, files: int) -> list[Any]:  # of a directory, or of one part
        tree: list[Any] = unpackb(self.read(digest.hex(), "tree"))
        assert all(re.fullmatch(ENTRY, str(e[1]) + "".join(type(x).__name__[0] for x in e)) for e in tree), "malformed"
        if split := any(e[1] == PART for e in tree):
            parts = [self._tree(True, *e[2:]) for e in tree]
            names, tree = [e[0] for e in tree if e[1] == PART], [e for part in parts for e in part]
            cuts = [e[0] for number, e in enumerate(tree) if number == 0 or hashed(e[0]).startswith("000")]
            assert names == cuts == [part[0][0] for part in parts], f"parts of {digest.hex()} cut wrongly"
        assert size == sum(e[2] or 0 for e in tree) and files == sum(e[4] if len(e) == 5 else 1 for e in tree), "totals"
        assert split == (len(tree) > SPLIT and not part), f"tree {digest.hex()} should or should not have parts"
        assert [e[0] for e in tree] == sorted({e[0] for e in tree if re.fullmatch(NAME, e[0])}), "names or their order"
        return tree

    def files(self, version_id: str) -> Iterator[tuple[bytes, int, int | None, str]]:  # of a reference, the uri
        tree, size, files, type_, *_, parents = unpackb(self.read(version_id, "version"))
        assert isinstance(type_, str) and parents == sorted(set(parents)), "malformed version"
        todo = [(b"", [b"", DIRECTORY, size, tree, files])]
        while todo:
            path, entry = todo.pop()
            assert not re.match(rb"/[A-Za-z]:|(/[^/]+){257}", path), f"a drive, or too deep: {path!r}"
            if entry[1] == DIRECTORY:
                todo += [(path + b"/" + below[0], below) for below in reversed(self._tree(False, *entry[2:]))]
            else:
                yield path[1:], entry[1], entry[2], entry[3] if entry[1] == REFERENCE else entry[3].hex()

    def _log(self, *names: str) -> list[Any]:  # digest and changes of each entry, at its number
        folder, entries = self.logs[tuple(normalize("NFC", name.casefold()) for name in names)], [("", list[Any]())]
        for number in range(1, 1 + len(list(folder.glob("*.json")))):
            data = (folder / f"{number:08}.json").read_bytes()
            entry = json.loads(data) | {"number": number, "prev": entries[-1][0] or None}
            entry["check"] = hashed(CANONICAL.encode({k: v for k, v in entry.items() if k != "check"}).encode() + b"\n")
            assert CANONICAL.encode(entry).encode() + b"\n" == data, f"entry {number} is not as it was written"
            changes = [(change.pop("kind"), change.pop("change"), change) for change in entry["changes"]]
            said = [("by", "", change.pop("by")) for _, _, change in changes if "by" in change]  # who made it elsewhere
            said += [("entry", "", entry), *changes]
            assert all(f"|{kind}: {' '.join(of)}|" in FIELDS for kind, _, of in said), "a field"
            entries.append((hashed(data), changes))
        return entries

    def collections(self) -> list[tuple[str, str, str]]:
        return [names for log in self.logs if (names := self.state(*log)["names"])]

    def state(self, *log: str, upto: int | None = None) -> dict[str, Any]:
        """The fold of a log up to an entry. Metadata and descriptions in blobs are the blobs' digests, as bytes."""
        new: dict[str, Any] = {"tags": [], "metadata": {}, "description": None}
        state = {"names": None, "type": None, "versions": {}, "ids": {}, "aliases": {}, "redirect": None} | new
        for kind, token, change in [c for _, changes in self._log(*log)[: upto and upto + 1] for c in changes]:
            id_, names = change.get("id"), tuple(map(change.get, ("entity", "project", "name")))
            on = state["ids"].setdefault(id_, {"live": False} | new) if id_ else state
            if kind == "collection":
                state |= {"names": names, "type": change["type"], "redirect": None}
            elif kind in ("version", "link"):
                assert change["number"] not in state["versions"] and "id" not in on, "a version again"
                state["ids"][id_] = state["versions"][change["number"]] = change | {"live": True} | new
            elif kind == "renumber":
                numbers, before = change["numbers"], state["versions"]
                state["versions"] = {numbers.get(v["id"], n): v for n, v in before.items()}
                assert len(state["versions"]) == len(before), "a number in use"
            elif kind == "alias" and (id_ is None or on["live"]):
                state["aliases"][change["alias"]] = id_
            elif kind == "tags":
                on["tags"] = sorted({*on["tags"], *change["add"]} - {*change["remove"]})
            elif kind == "metadata":
                values = on["metadata"] | change["set"] | {k: bytes.fromhex(v) for k, v in change["blobs"].items()}
                on["metadata"] = {k: v for k, v in values.items() if k not in change["remove"]}
            elif kind == "description":
                on["description"] = bytes.fromhex(change["blob"]) if change["blob"] else change["new"]
            elif kind in ("delete", "undelete", "delete collection", "withdraw"):
                for gone in change.get("ids", [id_]):
                    state["ids"].get(gone, {})["live"] = kind == "undelete"
            elif kind == "moved from":
                source, number = self._log(*names), change["number"]
                assert number and source[number][0] == change["digest"], "moved from an entry that is not there"
                if ("moved to", token) in [c[:2] for _, changes in source[number + 1 :][:1] for c in changes]:
                    state = self.state(*names, upto=number) | {"names": state["names"] or log}
            elif kind == "moved to":
                state = self.state(*log, upto=0) | {"names": state["names"], "redirect": names}
            state["aliases"] = {a: i for a, i in state["aliases"].items() if i and state["ids"][i]["live"]}
        return state

    def check(self) -> list[str]:  # damaged packs, and the first problem of each log and of each live version
        problems, todo = self.damaged.copy(), [(log, dict[str, Any]()) for log in self.logs]
        for log, version in todo:  # which grows
            try:
                x = version or self.state(*log)
                todo += [(log, v) for v in x.get("versions", {}).values() if v["live"]]
                assert all(self.read(v.hex()) for v in [x["description"], *x["metadata"].values()] if type(v) is bytes)
                if version:
                    r = unpackb(self.read(x["id"], "version"))  # which must tell the same as the log:
                    assert x == x | {"digest": r[0].hex(), "size": r[1], "files": r[2], "created": r[4], "run": r[5]}
                    blobs = {(digest, size) for _, kind, size, digest in self.files(x["id"]) if kind != REFERENCE}
                    assert all(size == len(self.read(digest)) for digest, size in blobs), "a blob of another size"
            except Exception as error:
                problems.append(f"{'/'.join(log)} {version.get('number', '')}: {error!r}")
        return problems
