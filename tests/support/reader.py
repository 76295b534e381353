"""A reader made from FORMAT.md alone. Digests are hex text; whatever the page does not allow raises an exception."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from blake3 import blake3
from msgpack import packb, unpackb

from tests.support.fold import FIELDS, Change, Entries, fold, fold_run, unsealed
from tests.support.unpacked import Copies, beside, objects_of, segments

OBJECTS, DIRECTORY, PART, REFERENCE = {1: "blob", 2: "tree", 3: "version", 4: "recipe", 5: "delta"}, 2, 3, 4
SPLIT = 16384
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
ENTRY = "[01]biib|[23]biibi|4bi[iN]sss[sN]"  # the kind, and what each field is: bytes, int, NoneType or str
NAME = rb"(?s)(?!\\|\.\Z|(.*\\)?\.\.(\\|\Z))[^/\0]{1,255}"
FORMAT = rb'{"artstore":1,"features":{"gc":\[.*\],"read":\[\],"write":\[.*\]},"id":"[0-9a-f]{32}"}\n'
PARTIAL = r'(?m)^\[remote "(.+)"\]\n(?:[a-z]+ = .*\n)*partial = true'


def hashed(data: bytes, of: str = "blob") -> str:
    day = "2026-12-01" if of == "delta" else "2026-11-21"
    return (blake3(data) if of == "blob" else blake3(data, derive_key_context=f"artstore {day} {of}")).hexdigest()


class Reader:
    def __init__(self, path: Path | str, refs: str = "refs") -> None:  # finds all logs and objects, once
        self.path, self.damaged = (path := Path(path)), list[str]()
        assert re.fullmatch(FORMAT, (path / "format").read_bytes()), "not format 1, or with features we do not know"
        found = [sorted(path.glob(f"{place}/*/*/*")) for place in (refs, "runs")]
        self.logs, self.runs = ({tuple(map(unquote, log.parts[-3:])): log for log in logs} for logs in found)
        blobs = [*path.glob("trash/*/*"), *path.glob("objects/blobs/??/*")]
        self.copies: Copies = {("blob", file.name): [(file, 0, -1, bytes)] for file in blobs if len(file.name) == 64}
        for pack in [*sorted(path.glob("objects/packs/*.pack")), *path.glob("trash/*/*.pack")]:
            try:
                for digest, kind, offset, length, opened in objects_of(pack):
                    if not (path / "bad" / f"{pack.stem}.{digest.hex()}").exists():
                        self.copies.setdefault((OBJECTS[kind], digest.hex()), []).append((pack, offset, length, opened))
            except Exception as error:
                known = pack.parent.name != "packs" or (path / "bad" / pack.name).exists()
                self.damaged += [] if known else [f"{pack.name}: {error!r}"]

    def read(self, digest: str, kind: str = "blob") -> bytes:
        recipes = self.copies.get(("recipe", digest), []) if kind == "blob" else []
        for path, offset, length, opened in self.copies.get((kind, digest), []) + recipes:
            with path.open("rb") as file:
                file.seek(offset)
                data = opened(file.read(length))
            if hashed(data, kind) != digest and recipes:
                try:
                    data = b"".join(self._segment(*row) for row in segments(data))
                except LookupError:  # another recipe may be whole
                    continue
            if hashed(data, kind) == digest:
                assert kind in ("blob", "delta") or packb(list(unpackb(data))) == data, f"{digest} is not canonical"
                return data
        raise LookupError(f"{kind} {digest} is missing or damaged")

    def _segment(self, length: int, segment: bytes, *by: bytes) -> bytes:  # as it is, or with a delta and its base
        if not by:
            return self.read(segment.hex())
        data = beside(self.read(by[0].hex(), "delta"), self.read(by[1].hex()), segment + by[1], length)
        assert len(data) == length and hashed(data) == segment.hex(), "a delta that isn't the segment's"
        return data

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

    def below(self, said: dict[str, Any]) -> Iterator[tuple[bytes, int, int | None, str]]:  # of a version, or of a part
        todo = [(b"", [b"", DIRECTORY, said["size"], bytes.fromhex(said.get("tree") or said["digest"]), said["files"]])]
        while todo:
            path, entry = todo.pop()
            assert not re.match(rb"/[A-Za-z]:|(/[^/]+){257}", path), f"a drive, or too deep: {path!r}"
            if entry[1] == DIRECTORY:
                todo += [(path + b"/" + below[0], below) for below in reversed(self._tree(False, *entry[2:]))]
            else:
                yield path[1:], entry[1], entry[2], entry[3] if entry[1] == REFERENCE else entry[3].hex()

    def files(self, version_id: str) -> Iterator[tuple[bytes, int, int | None, str]]:  # of a reference, the uri
        tree, size, files, *_ = unpackb(self.read(version_id, "version"))
        return self.below({"tree": tree.hex(), "size": size, "files": files})

    def _log(self, *names: str) -> Entries:
        return self._entries(self.logs[tuple(normalize("NFC", name.casefold()) for name in names)], "refs")

    def _entries(self, folder: Path, place: str) -> Entries:
        entries: Entries = [("", [])]
        for number in range(1, 1 + len(list(folder.glob("[0-9]*.json")))):
            data = (folder / f"{number:08}.json").read_bytes()
            entry = json.loads(data) | {"number": number, "prev": entries[-1][0] or None}
            entry["check"] = hashed(CANONICAL.encode({k: v for k, v in entry.items() if k != "check"}).encode() + b"\n")
            assert CANONICAL.encode(entry).encode() + b"\n" == data, f"entry {number} is not as it was written"
            assert re.fullmatch("(author )?changes check host number prev time user write", " ".join(entry)), "fields"
            changes, said = list[Change](), {key: entry[key] for key in entry if key == "author"}
            for change in entry["changes"]:
                by = change.pop("by", {"host": None, "time": None, "user": None})  # who made it elsewhere
                changes.append((change.pop("kind"), change.pop("change"), change))
                assert f"|{changes[-1][0]}: {' '.join(change)}|" in FIELDS[place] and [*by] == ["host", "time", "user"]
            entries.append((hashed(data), [(kind, token, change | said) for kind, token, change in changes]))
        return entries

    def state(self, *log: str) -> dict[str, Any]:
        return fold(self._log, *log)

    def run(self, *log: str) -> dict[str, Any]:
        run = fold_run([change for _, changes in self._entries(self.runs[log], "runs") for change in changes])
        parts = [self.read(p["blob"]) if p["blob"] else p["text"].encode() for p in run["history"].values()]
        parts += [p.read_bytes() for p in sorted(self.runs[log].glob("history.*")) if p.name not in run["history"]]
        rows = [] if run["deleted"] else [json.loads(line) for part in parts for line in part.split(b"\n")[:-1]]
        assert all(type(row["_step"]) is int for row in rows), "a row without a step"
        sealed = [part for part in run["files"].values() if part]
        files = {path: (size, digest) for part in sealed for path, _, size, digest in self.below(part)}
        files |= {path: (len(data), hashed(data)) for path, data in unsealed(self.runs[log], run["files"])}
        return run | {"rows": rows, "sealed": sealed, "trees": files}

    def _promised(self) -> set[str]:  # blobs that may be absent: of versions that a partial clone's remotes have
        config = (self.path / "config").read_text() if (self.path / "config").exists() else ""
        there = [Reader(self.path, f"remotes/{name}/refs") for name in re.findall(PARTIAL, config)]
        seen = [v for of in there for log in of.logs for v in of.state(*log)["versions"].values() if v["live"]]
        return {e[3] for v in seen if ("tree", v["digest"]) in self.copies for e in self.below(v) if e[1] != REFERENCE}

    def check(self) -> list[str]:  # damaged packs, and the first problem of each log, run, part and live version
        problems, promised = self.damaged.copy(), self._promised()
        todo: list[tuple[tuple[str, ...], dict[str, Any]]] = [(log, {}) for log in [*self.logs, *self.runs]]
        for log, said in todo:  # which grows
            try:
                x = said or (self.state(*log) if log in self.logs else self.run(*log))
                todo += [(log, version) for version in x.get("versions", {}).values() if version["live"]]
                todo += [(log, part) for some in x.get("upserts", {}).values() for part in some]
                todo += [(log, part) for part in x.get("sealed", [])]
                values = [x.get("description"), x.get("origins"), x.get("extras"), *x.get("metadata", {}).values()]
                assert all(self.read(value.hex()) for value in values if type(value) is bytes)
                if "id" in said:
                    r = unpackb(self.read(x["id"], "version"))  # which must tell the same as the log:
                    assert x == x | {"digest": r[0].hex(), "size": r[1], "files": r[2], "created": r[4], "run": r[5]}
                    assert isinstance(r[3], str) and x["parents"] == sorted({parent.hex() for parent in r[6]}), "record"
                blobs = {(e[3], e[2]) for e in self.below(said) if e[1] != REFERENCE} if said else set()
                blobs = {
                    b for b in blobs if b[0] not in promised or self.copies.keys() & {("blob", b[0]), ("recipe", b[0])}
                }
                assert all(size == len(self.read(digest)) for digest, size in blobs), "a blob of another size"
            except Exception as error:
                problems.append(f"{'/'.join(log)} {said.get('number', '')}: {error!r}")
        return problems
