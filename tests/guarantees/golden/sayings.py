"""What golden repositories of all that is said are made of: of versions, collections and runs."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blake3 import blake3

import artstore
from artstore.api.recording import Recording, start
from artstore.domain.collection import Path as Name
from artstore.domain.properties import NEVER, Properties
from artstore.errors import MissingObject
from artstore.operations.saving.draft import Draft
from artstore.store.refs import Refs
from artstore.store.transaction import Transaction
from tests.guarantees.golden.make import IN, Expected, Place, told
from tests.guarantees.golden.model import Files, collection, lines, listed, run, version
from tests.support.authors import accepted_by_a_server

LONG = {"classes": [f"class {number:04}" for number in range(500)]}
TEXT = "A description that is longer than what an entry of a log holds by itself. " * 80


# -- what is said of versions --


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


def authors(g: Place) -> Expected:
    nothing_beside = artstore.Settings(console="off", x_disable_meta=True, x_disable_stats=True)
    g.put("data", {"f": "1"})
    with accepted_by_a_server("ci"):
        g.put("data", {"f": "2"}, aliases=("prod",))
        with artstore.init(project="p", id="r", settings=nothing_beside):
            pass
    with accepted_by_a_server("jürgen"):
        g.put("data", {"f": "3"})
        g.repository.set_tags("data:v1", add=("seen",))
    made = version({"f": "1"}), version({"f": "2"}, tags=["seen"], author="ci"), version({"f": "3"}, author="jürgen")
    return told({"data": collection("dataset", *made, aliases={"prod": 1})}, {"local/p/r": run(author="ci")})


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


def extras(g: Place) -> Expected:
    """Keys of entries: in the log, in a blob, in parts of an upsert, of a copy, and of links with and without a source."""
    odd = {"numbers": [1, 1.0, 0.1, True, None, 1e300], "ü": {"nested": {"deep": "\n"}}}
    short = {"f": {"label": "cat"}, "blob": odd, "sub/" + os.fsdecode(b"latin-\xe9"): {"blob": "0" * 64}}
    long = {"f": {"boxes": LONG}}
    name = Name("local", "uncategorized", "data")

    def add(draft: Draft, files: Files, keys: dict[str, Any]) -> None:
        draft.add_folder(g.folder(files))
        for path, extra in keys.items():
            draft.extra(path).update(extra)

    first: Files = {"f": "1", "blob": "1", "sub/" + os.fsdecode(b"latin-\xe9"): "1"}
    for files, keys in ((first, short), ({"f": "2"}, long), ({"f": "3"}, {})):
        with g.repository.draft() as draft:
            add(draft, files, keys)
            draft.save(name, type="dataset")
    for number in (0, 1):
        g.repository.link(g.repository.find(f"data:v{number}"), "links")
    g.repository.copy("data:v0", "copy")
    g.repository.delete("data:v1", delete_aliases=True)

    def add_part(upsert: str, number: int, keys: dict[str, Any]) -> None:
        with g.repository.draft() as draft:
            add(draft, {f"p{number}": "p", "same": "s"}, keys)
            draft.save_part(name._replace(name="together"), upsert, type="dataset", writer=f"worker {number}")

    for upsert in ("whole", "open"):
        for number, keys in enumerate([{"p0": odd, "same": {"by": 0}}, {"p1": {"by": 1}, "same": {"and": 1}}, {}]):
            add_part(upsert, number, keys)
    with objects_lost():
        add_part("open", 2, {"p2": {"lost": True}})
    g.repository.finish("together", "whole")
    there = {"entity": "local", "project": "uncategorized", "name": "data"}
    made = [version(first, extras=short), version({"f": "2"}, extras=long, live=False), version({"f": "3"})]
    linked = [version(first, extras=short, source=there | {"number": 0})]
    linked += [version({"f": "2"}, extras=long, source=there | {"number": 1})]
    parts: list[dict[str, Any]] = [listed({f"p{number}": "p", "same": "s"}) for number in range(3)]
    parts[0] |= {"extras": {"p0": odd, "same": {"by": 0}}}
    parts[1] |= {"extras": {"p1": {"by": 1}, "same": {"and": 1}}}
    whole = {"p0": odd, "p1": {"by": 1}, "same": {"by": 0, "and": 1}}
    union = version({"p0": "p", "p1": "p", "p2": "p", "same": "s"}, extras=whole)
    unfinished = {"open": {f"worker {number}": part for number, part in enumerate(parts)}}
    return told({
        "data": collection("dataset", *made),
        "links": collection("dataset", *linked),
        "copy": collection("dataset", version(first, extras=short)),
        "together": collection("dataset", union, unfinished=unfinished),
    })  # fmt: skip


# -- runs --


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


def definitions(g: Place) -> Expected:
    with artstore.init(project="p", id="defined") as r:
        for metric, kept in (("loss", "max"), ("loss", "min,last"), ("hidden/*", "none")):
            r.define_metric(metric, summary=kept)
        for loss in (0.5, 0.25, 0.75):
            r.log({"loss": loss, "hidden/x": loss})
    rows = [{"_step": step, "loss": loss, "hidden/x": loss} for step, loss in enumerate((0.5, 0.25, 0.75))]
    defined = {"loss": ["min", "last"], "hidden/*": ["none"]}
    return told({}, {"local/p/defined": run(rows=rows, summary={"loss": {"min": 0.25, "last": 0.75}}, defined=defined)})


def run_files(g: Place) -> Expected:
    """Files of runs: sealed twice and then put into one tree, sealed and not sealed when a process was killed, deleted."""

    def digested(files: dict[str, bytes]) -> dict[str, list[Any]]:
        return {path: [len(data), blake3(data).hexdigest()] for path, data in files.items()}

    def add(recording: Recording, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            recording.add_file(path, data)

    first = {"media/images/a_0_00.png": b"a", "output.log": b"one", "media/large.bin": bytes(1 << 20)}
    second = {"media/images/a_1_01.png": b"a again", "output.log": b"one and two"}
    ended = start(str(g.root), project="p", id="ended")
    add(ended, first)
    ended.seal()
    add(ended, second)
    ended.finish(0, {})
    killed = start(str(g.root), project="p", id="killed")
    add(killed, first)
    killed.seal()
    add(killed, second)
    gone = start(str(g.root), project="p", id="deleted")
    add(gone, first)
    gone.finish(0, {})
    g.repository.delete_run(gone.path)
    files = digested(first | second)
    found = {"ended": run(files=files), "killed": run(state=None, code=None, files=files), "deleted": run(deleted=True)}
    return told({}, {f"local/p/{id}": one for id, one in found.items()})


def retention(g: Place) -> Expected:
    """Rules for what is kept: set, changed, removed, and applied by a save."""
    for number in range(4):
        g.put("data", {"f": str(number)}, metadata={"loss": number})
        g.put("other", {"f": str(number)})
    g.repository.keep("other", "last:1")
    g.repository.keep("other", None)
    g.repository.keep("data", "last:3")
    g.repository.keep("data", "last:2, best:loss:min")
    g.put("data", {"f": "4"}, metadata={"loss": 4})
    losses = [version({"f": str(n)}, metadata={"loss": n}, live=n not in (1, 2)) for n in range(5)]
    others = [version({"f": str(n)}) for n in range(4)]
    made = collection("dataset", *losses, keep="last:2, best:loss:min")
    return told({"data": made, "other": collection("dataset", *others)})


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


ALL = [
    versions,
    authors,
    properties,
    deleted,
    renamed,
    links,
    upserts,
    extras,
    runs,
    definitions,
    run_files,
    retention,
    lineage,
]
