"""What golden repositories are made of: a function for each, which puts something in and says what must come out."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import artstore
from artstore.checkouts import Noted
from artstore.errors import MissingObject
from artstore.packs import MAGIC
from artstore.properties import NEVER, Properties
from artstore.recording import start
from artstore.references import BLAKE3, ETAG, URI, Reference, Target
from artstore.refs import Refs
from artstore.repository import Repository
from artstore.selection import EVERYTHING, Selection
from artstore.state import Path as Name
from artstore.transaction import Transaction
from tests.golden.make import Place
from tests.golden.model import Files, b3, collection, encoded, expand, listed, run, tree_of, version

Expected = dict[str, Any]
ALL: dict[str, Callable[[Place], Expected]] = {}
IN = "local/uncategorized"
LONG = {"classes": [f"class {number:04}" for number in range(500)]}
TEXT = "A description that is longer than what an entry of a log holds by itself. " * 80


def golden(build: Callable[[Place], Expected]) -> Callable[[Place], Expected]:
    ALL[build.__name__.replace("_", "-")] = build
    return build


def told(collections: dict[str, Any], runs: dict[str, Any] | None = None, **more: Any) -> Expected:
    """Names without a project are in the default one."""
    full = {name if "/" in name else f"{IN}/{name}": one for name, one in collections.items()}
    return {"collections": full, "runs": runs or {}, **more}


def lines(count: int, of: str) -> str:
    return "".join(f"{of} {number}\n" for number in range(count))


# -- content --


@golden
def small_files(g: Place) -> Expected:
    files: Files = {"labels.csv": "a,b\n1,2\n", "run.sh*": "#!/bin/sh\n", "empty": "", "void": None, "docs/readme": "x"}
    g.put("data", files)
    noted = Noted("/home/ada/data", Name("local", "uncategorized", "data"), "0" * 64, 0, None, EVERYTHING)
    for path in (g.root / "checkouts").iterdir():  # the note of the folder above, which nobody else has
        path.unlink()
    g.repository.checkouts.note(noted._replace(id=g.repository.find("data").version["id"]))
    return told({"data": collection("dataset", version(files))}, checkouts=True)


@golden
def large_blob(g: Place) -> Expected:
    files: Files = {"weights.bin": bytes(3 << 20), "just.bin": b"\1" * (1 << 20), "under.bin": b"\1" * ((1 << 20) - 1)}
    g.put("model", files)
    return told({"model": collection("dataset", version(files))})


@golden
def nested_folders(g: Place) -> Expected:
    files: Files = {"/".join("abcdefghijklmnop"[: n + 1]) + "/file": lines(n, "deep") for n in range(16)}
    files |= {f"wide/{n:02}/same/f": "the same in all" for n in range(20)}
    g.put("data", files)
    return told({"data": collection("dataset", version(files))})


@golden
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


@golden
def names_as_bytes(g: Place) -> Expected:
    odd = [b"latin-\xe9", b"\xff\xfe", b"new\nline", b" spaces ", b"tab\t", b"-rf", b"a" * 255, b"back\\slash", b"*x"]
    odd += ["\u00e9".encode(), "e\u0301".encode(), b"%2F", b"\xf0\x9f\x8c\xbb", b"con", b"trailing.", b"\x01", b"..."]
    files: Files = {os.fsdecode(name): f"{number}" for number, name in enumerate(odd)}
    files |= {os.fsdecode(b"folder-\xe9/" + name): f"{number}" for number, name in enumerate(odd)}
    g.put("data", files)
    return told({"data": collection("dataset", version(files))})


@golden
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


@golden
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


# -- what is said of versions --


@golden
def versions(g: Place) -> Expected:
    same: Files = {f"same/{n}": lines(50, str(n)) for n in range(10)}
    states: list[Files] = [same | {"f": str(n)} for n in range(4)]
    for number, files in enumerate(states):
        g.put("data", files, aliases=("newest",) if number < 3 else (), tags=("all", f"t{number}"))
    g.repository.set_aliases("data:v0", add=("prod", "gone"))
    g.repository.set_aliases("data:v2", add=("prod",))
    g.repository.set_aliases("data:v0", remove=("gone",))
    g.repository.set_tags("data:v1", add=("more",), remove=("t1",))
    g.repository.edit_collection("data", tags=("kept", "gone"))
    g.repository.edit_collection("data", no_tags=("gone",))
    tags = [["all", "t0"], ["all", "more"], ["all", "t2"], ["all", "t3"]]
    made = [version(files, tags=said) for files, said in zip(states, tags, strict=True)]
    return told({"data": collection("dataset", *made, aliases={"newest": 2, "prod": 2}, tags=["kept"])})


@golden
def properties(g: Place) -> Expected:
    values = {"rows": 3, "ratio": 0.1, "none": None, "nested": {"ü": [1, True, "x"]}, "big": 2**62, "small": 1e-300}
    g.put("data", {"f": "1"}, metadata=values | {"old": 1}, description="First.")
    g.repository.edit("data", Properties(metadata=LONG, no_metadata=("old",), description="Second.", ttl=3600))
    g.put("data", {"f": "2"}, metadata=LONG, description=TEXT)
    g.repository.edit("data", Properties(metadata={"classes": 2}, ttl=NEVER))
    g.put("data", {"f": "3"}, description=TEXT)
    g.repository.edit("data", Properties(description="", ttl=NEVER))
    g.repository.edit("data", Properties(ttl="inherit"))
    g.repository.edit_collection("data", description="Of all versions.")
    first = version({"f": "1"}, metadata=values | LONG, description="Second.", ttl=3600)
    second = version({"f": "2"}, metadata={"classes": 2}, description=TEXT, ttl=None)
    return told({"data": collection("dataset", first, second, version({"f": "3"}), description="Of all versions.")})


@contextmanager
def objects_lost() -> Iterator[None]:
    """A save inside finds, once its entry is written, that a collector took what it relied on, and takes the entry back."""
    ensure = Transaction.ensure

    def lost(tx: Transaction) -> None:
        raise MissingObject("a pack was collected while this relied on it")

    Transaction.ensure = lost  # type: ignore[method-assign]
    try:
        yield
    except MissingObject:
        pass
    finally:
        Transaction.ensure = ensure  # type: ignore[method-assign]


@golden
def deleted(g: Place) -> Expected:
    for number in range(4):
        g.put("data", {"f": str(number)}, aliases=(f"a{number}",))
    g.repository.delete("data:v0", delete_aliases=True)
    g.repository.delete("data:v1", delete_aliases=True)
    g.repository.undelete("data:v1")
    g.repository.delete("data:v3", delete_aliases=True)
    with objects_lost():
        g.put("data", {"f": "lost"})
    g.put("gone", {"f": "gone"}, tags=("t",))
    g.repository.edit_collection("gone", description="It goes.")
    g.repository.delete_collection("gone")
    g.put("again", {"f": "a dataset"})
    g.repository.delete_collection("again")
    g.put("again", {"f": "a model"}, type="model")
    g.put("back", {"f": "back"})
    g.repository.delete_collection("back")
    g.repository.undelete_collection("back")
    dead = {"live": False}
    data = [version({"f": text}) for text in ("0", "1", "2", "3", "lost")]
    for number in (0, 3, 4):
        data[number] |= dead
    return told({
        "data": collection("dataset", *data, aliases={"a2": 2}),
        "gone": collection("dataset", version({"f": "gone"}, tags=["t"]) | dead, exists=False),
        "again": collection("model", version({"f": "a dataset"}) | dead, version({"f": "a model"})),
        "back": collection("dataset", version({"f": "back"})),
    })  # fmt: skip


@golden
def renamed(g: Place) -> Expected:
    g.put("old", {"f": "1"}, aliases=("prod",), tags=("t",))
    g.repository.rename("old", "between")
    g.put("between", {"f": "2"})
    g.repository.rename("between", "elsewhere/new")
    g.put("elsewhere/new", {"f": "3"})
    g.put("stays", {"f": "stays"})
    commit, calls = Refs.commit, []

    def dies_before_the_second(refs: Refs, *more: Any) -> Any:
        calls.append(more)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return commit(refs, *more)

    Refs.commit = dies_before_the_second  # type: ignore[method-assign]
    try:
        g.repository.rename("stays", "target")
    except KeyboardInterrupt:
        pass
    finally:
        Refs.commit = commit  # type: ignore[method-assign]
    g.put("target", {"f": "another"})
    g.repository.copy("stays", "copy")
    gone: dict[str, Any] = {"exists": False}
    made = [version({"f": "1"}, tags=["t"]), version({"f": "2"}), version({"f": "3"})]
    return told({
        "old": collection("dataset", redirect=f"{IN}/between", **gone),
        "between": collection("dataset", redirect="local/elsewhere/new", **gone),
        "local/elsewhere/new": collection("dataset", *made, aliases={"prod": 0}),
        "stays": collection("dataset", version({"f": "stays"})),
        "target": collection("dataset", version({"f": "another"})),
        "copy": collection("dataset", version({"f": "stays"})),
    })  # fmt: skip


@golden
def links(g: Place) -> Expected:
    with g.repository.draft() as draft:
        draft.add_bytes(b"1", "w")
        draft.save(Name("local", "models", "churn"), type="model", run="local/models/train")
    about_it = Properties(tags=("good",), metadata={"loss": 0.1} | LONG, description="Best.")
    g.repository.edit("models/churn", about_it)
    g.put("models/churn", {"w": "2"}, type="model")
    g.repository.edit_registry("local", "registry-models", new=True, description="In production.")
    g.repository.edit_registry("local", "registry-models", metadata={"artifact_types": ["model"]})
    for number in (0, 1):
        g.repository.link(g.repository.find(f"models/churn:v{number}"), "registry-models/churn", ("prod",))
    g.repository.delete("models/churn:v1", delete_aliases=True)
    said: dict[str, Any] = {"tags": ["good"], "metadata": {"loss": 0.1} | LONG, "description": "Best."}
    said["run"] = "local/models/train"
    source = {"entity": "local", "project": "models", "name": "churn"}
    linked = [
        version({"w": "1"}, source=source | {"number": 0}, **said),
        version({"w": "2"}, source=source | {"number": 1}),
    ]
    about = {"description": "In production.", "metadata": {"artifact_types": ["model"]}}
    made = [version({"w": "1"}, **said), version({"w": "2"}, live=False)]
    return told({
        "local/models/churn": collection("model", *made),
        "local/registry-models/churn": collection("model", *linked, aliases={"prod": 1}),
        "local/registry-models/.registry": collection("artstore-registry", **about),
    })  # fmt: skip


@golden
def upserts(g: Place) -> Expected:
    parts: list[Files] = [{"a/0": "0", "same": "s"}, {"a/1": "1", "same": "s"}, {"b/2*": "2"}]

    def add(upsert: str, number: int, files: Files) -> None:
        with g.repository.draft() as draft:
            draft.add_folder(g.folder(files))
            name, run = Name("local", "uncategorized", "data"), f"local/p/run-{number}" if number else None
            draft.save_part(name, upsert, type="dataset", writer=f"worker {number}", run=run)

    for upsert in ("whole", "open", "dropped"):
        for number, files in enumerate(parts):
            add(upsert, number, files | {upsert: upsert})
    with objects_lost():
        add("open", 3, {"lost": "lost"})
    g.repository.finish("data", "whole", Properties(aliases=("all",)))
    g.repository.drop("data", "dropped")
    union: Files = {**parts[0], **parts[1], **parts[2], "whole": "whole"}
    unfinished = {"open": {f"worker {n}": listed(files | {"open": "open"}) for n, files in enumerate(parts)}}
    return told({"data": collection("dataset", version(union), aliases={"all": 0}, unfinished=unfinished)})


# -- runs --


@golden
def runs(g: Place) -> Expected:
    subprocess.run(["git", "init", "-q"], check=True)
    author = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    with artstore.init(
        project="p", id="whole", name="A name", notes="Notes.", tags=["t"], group="g", config={"lr": 0.1}
    ) as r:
        r.config.update({"layers": [1, 2], "gone": None})
        for step in range(400):
            r.log({"loss": 1 / (step + 1), "text": "ü"})
        r.summary["best"] = 0.5
    whole = run(
        name="A name", notes="Notes.", tags=["t"], group="g", config={"lr": 0.1, "layers": [1, 2], "gone": None}
    )
    whole["rows"] = [{"_step": n, "loss": 1 / (n + 1), "text": "ü"} for n in range(400)]
    whole["summary"] = {"best": 0.5, "loss": 1 / 400, "text": "ü"}
    with artstore.init(project="p", id="short", notes="Only notes.") as r:
        r.log({"nan": float("nan"), "inf": float("inf")}, step=5)
    short = run(
        notes="Only notes.",
        rows=[{"_step": 5, "nan": "NaN", "inf": "Infinity"}],
        summary={"nan": "NaN", "inf": "Infinity"},
    )
    with artstore.init(project="p", id="deleted") as r:
        r.log({"x": 1})
    artstore.Api().run("p/deleted").delete()
    try:
        with artstore.init(project="p", id="failed", tags=["only", "tags"]):
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with artstore.init(project="p", id="resumed") as r:
        r.log({"x": 1})
    with artstore.init(project="p", id="resumed", resume="must") as r:
        r.log({"x": 2})
    resumed = run(rows=[{"_step": 0, "x": 1}, {"_step": 1, "x": 2}], summary={"x": 2})
    lost = start(str(g.root), project="p", id="killed", config={"a": 1, "b": 2})
    lost.set_values("config", {"c": 3}, ["a"])
    lost.log({"_step": 0, "_runtime": 0.5, "_timestamp": 1.0, "x": 1})
    killed = run(state=None, code=None, config={"b": 2, "c": 3}, rows=[{"_step": 0, "x": 1}])
    gone = run(deleted=True, summary={"x": 1})
    failed = run(state="failed", code=1, tags=["only", "tags"])
    found = {"whole": whole, "short": short, "deleted": gone, "failed": failed, "resumed": resumed, "killed": killed}
    return told({}, {f"local/p/{id}": one for id, one in found.items()})


@golden
def lineage(g: Place) -> Expected:
    with artstore.init(project="p", id="prepare", job_type="prepare") as r:
        data = artstore.Artifact("data", type="dataset")
        data.add_dir(g.folder({"f": "1"}))
        r.log_artifact(data)
    with artstore.init(project="p", id="train", job_type="train") as r:
        r.use_artifact("data:latest", use_as="training data")
        model = artstore.Artifact("model", type="model")
        model.add_dir(g.folder({"w": "1"}))
        r.log_artifact(model)
    draft = artstore.Api().artifact("p/data:v0").new_draft()
    draft.add_file(f"{g.folder({'g': '2'})}/g")
    with artstore.init(project="p", id="extend") as r:
        r.use_artifact("data:v0")
        r.log_artifact(draft)
    made = [version({"f": "1"}, run="local/p/prepare")]
    made += [version({"f": "1", "g": "2"}, run="local/p/extend", parents=["local/p/data:v0"])]
    found = {
        "local/p/prepare": run(job_type="prepare", logged=["local/p/data:v0"]),
        "local/p/train": run(job_type="train", used={"local/p/data:v0": "training data"}, logged=["local/p/model:v0"]),
        "local/p/extend": run(used={"local/p/data:v0": None}, logged=["local/p/data:v1"]),
    }
    model_made = version({"w": "1"}, run="local/p/train")
    return told({"local/p/data": collection("dataset", *made), "local/p/model": collection("model", model_made)}, found)


# -- how it is stored --


@golden
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


@golden
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


@golden
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


@golden
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


@golden
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


@golden
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


@golden
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


@golden
def partial_clone(g: Place) -> Expected:
    files: Files = {"large": bytes(1 << 20), "a/1": lines(20, "a"), "b/1": lines(20, "b")}
    with beside(g) as there:
        there.put(g.folder(files), "data", type="dataset")
    g.repository.pull("nas", selection=Selection("a/"))
    g.repository.get(g.repository.find("data"), "out", selection=Selection("a/"))
    g.put("own", {"f": "own"})
    data, own = collection("dataset", version(files)), collection("dataset", version({"f": "own"}))
    return {
        "here": told({"data": data, "own": own}, absent=True),
        "there": told({"data": data}),
    }
