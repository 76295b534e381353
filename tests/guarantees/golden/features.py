"""What golden repositories of content are made of, and of how it is stored and shared: each puts something in, and says what must
come out.
"""

import json
import os
import struct
from pathlib import Path
from typing import Any

from blake3 import blake3

import artstore
from artstore.backends.references import BLAKE3, ETAG, URI, Reference, Target
from artstore.domain.collection import Path as Name
from artstore.domain.deltas import decode_delta
from artstore.domain.digest import DELTA
from artstore.domain.planes import exclusive_or
from artstore.domain.properties import Properties
from artstore.domain.selection import EVERYTHING, Selection
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.checkouts import Noted
from artstore.store.framed import Frame, FramedIndex
from artstore.store.packs import MAGIC
from tests.guarantees.golden.make import Expected, Place, told
from tests.guarantees.golden.model import Files, b3, collection, encoded, expand, lines, listed, run, tree_of, version

# -- content --


def small_files(g: Place) -> Expected:
    files: Files = {"labels.csv": "a,b\n1,2\n", "run.sh*": "#!/bin/sh\n", "empty": "", "void": None, "docs/readme": "x"}
    g.put("data", files)
    noted = Noted("/home/ada/data", Name("local", "uncategorized", "data"), "0" * 64, 0, None, EVERYTHING)
    for path in (g.root / "checkouts").iterdir():  # the note of the folder above, which nobody else has
        path.unlink()
    g.repository.checkouts.note(noted._replace(id=g.repository.find("data").version["id"]))
    return told({"data": collection("dataset", version(files))}, checkouts=True)


def large_blob(g: Place) -> Expected:
    files: Files = {"weights.bin": bytes(3 << 20), "just.bin": b"\1" * (1 << 20), "under.bin": b"\1" * ((1 << 20) - 1)}
    g.put("model", files)
    return told({"model": collection("dataset", version(files))})


def nested_folders(g: Place) -> Expected:
    files: Files = {"/".join("abcdefghijklmnop"[: n + 1]) + "/file": lines(n, "deep") for n in range(16)}
    files |= {f"wide/{n:02}/same/f": "the same in all" for n in range(20)}
    g.put("data", files)
    return told({"data": collection("dataset", version(files))})


def split_folder(g: Place) -> Expected:
    files: Files = {"many/f{00000..16399}": "", "one": "1"}
    g.put("data", files)
    more = expand(files) | {"many/f08000": "changed", "many/g": "more"}
    (Path("in-0") / "many/f08000").write_text("changed")
    (Path("in-0") / "many/g").write_text("more")
    g.repository.put("in-0", "data")
    same = listed({"many/f{00000..16399}": "", "one": "1"})
    changed = same | listed({"many/f08000": "changed", "many/g": "more"})
    first, second = version({}, tree_of(expand(files))), version({}, tree_of(more))
    return told({"data": collection("dataset", first | {"files": same}, second | {"files": changed})})


def names_as_bytes(g: Place) -> Expected:
    odd = [b"latin-\xe9", b"\xff\xfe", b"new\nline", b" spaces ", b"tab\t", b"-rf", b"a" * 255, b"back\\slash", b"*x"]
    odd += ["\u00e9".encode(), "e\u0301".encode(), b"%2F", b"\xf0\x9f\x8c\xbb", b"con", b"trailing.", b"\x01", b"..."]
    files: Files = {os.fsdecode(name): f"{number}" for number, name in enumerate(odd)}
    files |= {os.fsdecode(b"folder-\xe9/" + name): f"{number}" for number, name in enumerate(odd)}
    g.put("data", files)
    return told({"data": collection("dataset", version(files))})


def references(g: Place) -> Expected:
    g.put("data", {"a.txt": "a", "sub/b.txt": "b"})
    found = [
        Target("bucket.bin", Reference("s3://bucket/key", 5, ETAG, '"abc"', "version 3")),
        Target("local.bin", Reference("file:///data/local.bin", 7, BLAKE3, b3("seven b"), None)),
        Target("web", Reference("https://example.org/ü?q=1", None, URI, "https://example.org/ü?q=1", None)),
    ]
    source = g.repository.find("data")
    with g.repository.draft() as draft:
        draft.add_references("far", found)
        draft.add_entry_of(source.state.path, source.version, g.repository.entry(source, "sub/b.txt"), "near/b.txt")
        draft.add_bytes(b"own", "own.txt")
        where = {**source.state.path.fields(), "number": 0, "id": source.version["id"]}
        short = {"near/b.txt": where | {"path": "sub/b.txt"}}
        draft.save(Name("local", "uncategorized", "mixed"), type="dataset", origins=short)
        draft.add_entry_of(source.state.path, source.version, g.repository.entry(source, "a.txt"), "near/a.txt")
        long = {f"near/{'x' * 100}{n}": where | {"path": "a.txt"} for n in range(20)}
        draft.save(Name("local", "uncategorized", "mixed"), origins=long)
    far = encoded([[t.path.encode(), 4, t.reference.size, t.reference.uri, *t.reference[2:]] for t in found])

    def mixed(near: Files, **said: Any) -> dict[str, Any]:
        below, own = tree_of(near), b3("own")
        rows: list[list[Any]] = [[b"far", 2, far[1], far[0], far[2]], [b"near", 2, below[1], below[0], below[2]]]
        one = version({f"near/{name}": text for name, text in near.items()} | {"own.txt": "own"}, None, **said)
        digest, size, count = encoded([*rows, [b"own.txt", 0, 3, bytes.fromhex(own)]])
        one["files"] |= {f"far/{t.path}": [4, t.reference.size, t.reference.uri] for t in found}
        return one | {"digest": digest.hex(), "size": size, "count": count}

    versions = mixed({"b.txt": "b"}, origins=short), mixed({"b.txt": "b", "a.txt": "a"}, origins=long)
    data = collection("dataset", version({"a.txt": "a", "sub/b.txt": "b"}))
    return told({"data": data, "mixed": collection("dataset", *versions)})


def tables(g: Place) -> Expected:
    with artstore.init(project="digits", id="eval-1", job_type="evaluate") as active:
        report = artstore.Artifact("report", type="evaluation")
        report.add(artstore.Table(columns=["digit", "right"], data=[[n, n != 7] for n in range(10)]), "results")
        active.log_artifact(report)
    rows = [[n, n != 7] for n in range(10)]
    content = g.repository.open(g.repository.entry(g.repository.find("digits/report"), "results.table.json")).read()
    table = json.loads(content)
    assert (table["columns"], table["data"]) == (["digit", "right"], rows)
    made = version({"results.table.json": content}, run="local/digits/eval-1")
    ended = {"local/digits/eval-1": run(job_type="evaluate", logged=["local/digits/report:v0"])}
    return told({"local/digits/report": collection("evaluation", made)}, ended)


# -- how it is stored --


def checkpoint(g: Place) -> Expected:
    g.put("data", {"f": "1"}, metadata={"ratio": 0.5})
    for number in range(70):
        g.repository.set_aliases("data", add=(f"a{number}",))
    with artstore.init(project="p", id="r", config={"x": 1}):
        pass
    assert list(g.root.glob("refs/*/*/*/*.checkpoint")) and list(g.root.glob("runs/*/*/*/checkpoint"))
    aliases = {f"a{number}": 0 for number in range(70)}
    data = collection("dataset", version({"f": "1"}, metadata={"ratio": 0.5}), aliases=aliases)
    return told({"data": data}, {"local/p/r": run(config={"x": 1})})


def merged_pack(g: Place) -> Expected:
    for number in range(8):
        g.put("data", {"f": str(number), "same": "s"})
    assert len(list(g.root.glob("objects/packs/*"))) == 1
    return told({"data": collection("dataset", *[version({"f": str(n), "same": "s"}) for n in range(8)])})


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def damaged_copies(g: Place) -> Expected:
    """A blob in a pack was read wrong, another pack can't be opened; both are noted, and all was stored once more."""
    files: list[Files] = [{"f0": "a blob"}, {"f1": "another"}]
    packs: list[Path] = []
    for one in files:
        g.put("data", one)
        packs += set(g.root.glob("objects/packs/*")) - set(packs)
    damage(packs[0], packs[0].read_bytes().index(b"a blob"))
    damage(packs[1], packs[1].stat().st_size - 57)
    with Repository(str(g.root)) as again:
        again.fsck()
        g.put("again", files[0], again)
        g.put("data", files[1], again)
    assert len(list((g.root / "bad").iterdir())) == 2
    made = [version(one) for one in files]
    return told({"again": collection("dataset", made[0]), "data": collection("dataset", *made)}, damaged=2)


def evidence(g: Place) -> Expected:
    """What became of damage: a large blob that was set aside, a pack that was written anew; both kept in bad/."""
    files: Files = {"large": bytes(1 << 20), "small": "a blob", "other": "kept"}
    g.put("data", files)
    (pack,) = g.root.glob("objects/packs/*")
    (blob,) = g.root.glob("objects/blobs/*/*")
    damage(pack, pack.read_bytes().index(b"a blob"))
    damage(blob, 5)
    with Repository(str(g.root)) as again:
        again.fsck()
        again.put(g.folder(files), "again", type="dataset")
        again.gc(now=True)
    assert len([p for p in (g.root / "bad").iterdir() if p.stat().st_size]) == 2
    return told({name: collection("dataset", version(files)) for name in ("data", "again")})


def dead_processes(g: Place) -> Expected:
    """Somebody was saving, somebody collecting, on a host that nobody can ask; what was taken away is needed still."""
    g.put("data", {"f": "1"})
    g.put("data", {"large": bytes(1 << 20)})
    (blob,) = g.root.glob("objects/blobs/*/*")
    taken, *_ = g.root.glob("objects/packs/*")
    dead = "node_7-aaaaaaaaaaaa.bbbbbbbbbbbb.4026531836.{}.12345678.0a1b2c3d"
    for folder in (f"tmp/{dead.format(101)}", f"trash/gc.{dead.format(102)}", "trash/merge.left.0a1b2c3d4e5f"):
        (g.root / folder).mkdir()
    (g.root / f"tmp/{dead.format(101)}/1").write_bytes(MAGIC + bytes(20))
    (g.root / f"tmp/{dead.format(103)}").write_bytes(b"half of a ")
    blob.rename(g.root / f"trash/gc.{dead.format(102)}" / blob.name)
    taken.rename(g.root / "trash/merge.left.0a1b2c3d4e5f" / taken.name)
    g.put("dropped", {"f": "dropped"})
    g.repository.delete_collection("dropped")
    g.repository.gc()
    assert list(g.root.glob("trash/gc.left.*"))
    made = [version({"f": "1"}), version({"large": bytes(1 << 20)})]
    gone = collection("dataset", version({"f": "dropped"}, live=False), exists=False)
    return told({"data": collection("dataset", *made), "dropped": gone})


def names(g: Place) -> Expected:
    spelled = ["Ünïcode Name", "UPPER", "a.b.c", "con", "LPT1.x", "naïve", "日本語", "x" * 120, "straße", "dash-_0"]
    for number, name in enumerate(spelled):
        g.put(f"Ärger/Project One/{name}" if number % 2 else name, {"f": name})
    found = {
        f"Ärger/Project One/{name}" if number % 2 else name: collection("dataset", version({"f": name}))
        for number, name in enumerate(spelled)
    }
    with artstore.init(entity="Ärger", project="Project One", id="Run ü"):
        pass
    return told(found, {"Ärger/Project One/Run ü": run()})


# -- several repositories --


def beside(g: Place) -> Repository:
    there = Repository.init("there", shared=True)
    g.repository.remotes.add("nas", "there")
    return there


def remote(g: Place) -> Expected:
    """Two repositories with a remote in common, whose versions took the same numbers; both have been pulled and pushed."""
    there = beside(g)
    g.put("data", {"f": "first"}, aliases=("prod",), metadata={"by": "ada"})
    g.repository.push("nas")
    with artstore.init(project="p", id="r", config={"lr": 1}):
        pass
    with Repository.clone("there", os.path.abspath("other"))[0] as other:
        g.put("data", {"f": "theirs"}, other, tags=("theirs",))
        other.set_aliases("data:v1", add=("prod",))
        other.push("origin")
    g.put("data", {"f": "ours"})
    g.repository.edit("data:v0", Properties(description="Ours."))
    g.repository.set_aliases("data:v1", add=("prod",))  # too late: theirs stays
    with Repository(str(g.root)) as again:
        again.pull("nas")
        again.push("nas")
    there.close()
    made = [version({"f": "first"}, metadata={"by": "ada"}, description="Ours.")]
    made += [version({"f": "theirs"}, tags=["theirs"]), version({"f": "ours"})]
    data = told({"data": collection("dataset", *made, aliases={"prod": 1})}, {"local/p/r": run(config={"lr": 1})})
    return {"here": data, "there": data}


def packed_blobs(g: Place) -> Expected:
    """Frames of each codec, a recipe for each version, a segment that both share, and a blob of one segment."""
    noise = b"".join(blake3(b"%d" % number).digest() for number in range(2100))
    floats = b"".join(struct.pack("<f", 1 + (number * 2654435761 % 8192) / 8192) for number in range(1 << 18))
    text = lines(9000, "a line of a log")
    first: Files = {"model.safetensors": tensors(noise, floats, text.encode()), "zeros.bin": bytes(1 << 20)}
    second: Files = {"model.safetensors": tensors(noise, floats, text.encode()[::-1])}
    g.put("model", first)
    g.put("model", second)
    assert g.repository.pack().blobs == 3
    (pack,) = [name for name in g.repository.objects.packs.refresh() if _frames(g, name)]
    assert {frame.codec for frame in _frames(g, pack)} == {0, 1, 2}
    return told({"model": collection("dataset", version(first), version(second))})


def grouped_blobs(g: Place) -> Expected:
    """Frames of many small blobs, some of which two versions share, and of a single one; an empty blob elsewhere."""
    first: Files = {f"src/{n:03}.py": lines(60, f"def function_{n}(argument)") for n in range(120)}
    first |= {"empty": "", "table.csv": lines(15_000, "1,2,3")}
    second: Files = first | {f"src/{n:03}.py": lines(61, f"def other_{n}(argument)") for n in range(0, 120, 5)}
    g.put("code", first)
    g.put("code", second)
    assert g.repository.pack().small_blobs == 145
    (pack,) = [name for name in g.repository.objects.packs.refresh() if _frames(g, name)]
    assert len(_frames(g, pack)) == 3 and {frame.codec for frame in _frames(g, pack)} == {1}
    return told({"code": collection("dataset", version(first), version(second))})


def deltas(g: Place) -> Expected:
    """Segments that are what differs from one of another version, of each codec, and segments that are shared."""
    noise = b"".join(blake3(b"%d" % number).digest() for number in range(2100))
    bits = blake3(b"bits").digest(length=len(noise) // 4)
    low = b"".join(bytes([bit < 60, 0, 0, 0]) for bit in bits)
    runs = b"".join(bytes([number // 700]) * 32 for number in range(2100))
    table = [f"a row of a table,{n % 997}" for n in range(60_000)]
    changed = [f"{line},changed" if n % 5000 == 7 else line for n, line in enumerate(table)]
    states: list[Files] = [
        {"model.safetensors": tensors(exclusive_or(noise, difference), bytes(1 << 20)), "table.csv": "\n".join(rows)}
        for difference, rows in ((bytes(len(noise)), table), (low, changed), (runs, changed))
    ]
    for files in states:
        g.put("model", files)
    assert g.repository.pack().blobs == 5
    (pack,) = [
        pack
        for pack in map(g.repository.objects.packs.open, g.repository.objects.packs.refresh())
        if pack.index.has_frames
    ]
    found = [pack.object(row) for row in pack.index.rows() if row.kind == DELTA]
    assert {decode_delta(delta or b"").difference.codec for delta in found} == {1, 2, 3}
    return told({"model": collection("dataset", *map(version, states))})


def tensors(*parts: bytes) -> bytes:
    """A safetensors file of single-precision numbers."""
    header, at = dict[str, Any](), 0
    for number, part in enumerate(parts):
        whole = len(part) // 4 * 4
        header[f"t{number}"] = {"dtype": "F32", "shape": [whole // 4], "data_offsets": [at, at + whole]}
        at += whole
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(part[: len(part) // 4 * 4] for part in parts)


def _frames(g: Place, name: str) -> list[Frame]:
    index = g.repository.objects.packs.open(name).index
    return list(index.frames()) if isinstance(index, FramedIndex) else []


def partial_clone(g: Place) -> Expected:
    files: Files = {"large": bytes(1 << 20), "a/1": lines(20, "a"), "b/1": lines(20, "b")}
    with beside(g) as there:
        there.put(g.folder(files), "data", type="dataset")
    g.repository.pull("nas", selection=Selection("a/"))
    g.repository.get(g.repository.find("data"), "out", Restore(Selection("a/")))
    g.put("own", {"f": "own"})
    data, own = collection("dataset", version(files)), collection("dataset", version({"f": "own"}))
    return {
        "here": told({"data": data, "own": own}, absent=True),
        "there": told({"data": data}),
    }


ALL = [
    small_files,
    large_blob,
    nested_folders,
    split_folder,
    names_as_bytes,
    references,
    tables,
    checkpoint,
    merged_pack,
    packed_blobs,
    grouped_blobs,
    deltas,
    damaged_copies,
    evidence,
    dead_processes,
    names,
    remote,
    partial_clone,
]
