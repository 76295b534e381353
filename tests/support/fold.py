"""What the changes in a log add up to, made from FORMAT.md alone: the second half of tests/support/reader.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Change = tuple[str, str, dict[str, Any]]  # kind, id, and the fields of its kind
Entries = list[tuple[str, list[Change]]]  # digest and changes of each entry, at its number
Log = Callable[..., Entries]

FIELDS = {  # of each kind of change, in order
    "refs": """|alias: alias id old|collection: entity name project type|delete: id reason|delete collection: ids|
|description: blob id new old|metadata: blobs id remove set|moved from: digest entity name number project|ttl: id new old|
|moved to: entity name project|not moved: entity name project|renumber: numbers|tags: add id remove|undelete: id|
|withdraw: id reason|version: created digest files id number parents run size|origins: blob entries id|drop: tree upsert|
|extras: blob entries id|part extras: blob tree upsert|
|link: created digest files id number parents run size source|part: files run size tree upsert writer|finish: id upsert|keep: new old|""",
    "runs": """|start: command entity git group job_type owner project run|label: name notes tags|define: keep metric|finish: code state|
|config: remove set|summary: remove set|history: blob first last part rows text|delete: |files: files part replaces size tree|
|logged: created digest entity id name number project size type|
|used: as created digest entity id name number project size type|""",
}


def fold(log: Log, *names: str, upto: int | None = None) -> dict[str, Any]:
    """A collection up to an entry of its log; `log` gives the entries of any. What lies in blobs is digests, as bytes."""
    new: dict[str, Any] = {"tags": [], "metadata": {}, "description": None, "ttl": "inherit", "origins": {}}
    new |= {"extras": {}}
    state = {
        "names": None,
        "type": None,
        "keep": None,
        "exists": False,
        "redirect": None,
        "aliases": {},
        "upserts": {},
    } | new
    state |= {"versions": {}, "ids": {}}
    for kind, token, change in [c for _, changes in log(*names)[: upto and upto + 1] for c in changes]:
        id_, path = change.get("id"), tuple(str(change.get(part)) for part in ("entity", "project", "name"))
        on = state["ids"].setdefault(id_, {"live": False} | new) if id_ else state
        if kind == "collection":
            state |= {"names": path, "type": change["type"], "exists": True, "redirect": None}
        elif kind in ("version", "link"):
            assert change["number"] not in state["versions"] and "id" not in on, "a version again"
            state["ids"][id_] = state["versions"][change["number"]] = change | {"live": True} | new
        elif kind == "renumber":
            moved = {change["numbers"].get(v["id"], n): v for n, v in state["versions"].items()}
            assert len(moved) == len(state["versions"]), "a number in use"
            state["versions"] = moved
        elif kind == "alias":
            state["aliases"] |= {change["alias"]: id_} if id_ is None or on["live"] else {}
        elif kind == "tags":
            on["tags"] = sorted({*on["tags"]} - {*change["remove"]} | {*change["add"]})
        elif kind == "metadata":
            on["metadata"] = {k: v for k, v in on["metadata"].items() if k not in change["remove"]} | change["set"]
            on["metadata"] |= {k: bytes.fromhex(v) for k, v in change["blobs"].items()}
        elif kind == "keep":
            state["keep"] = change["new"]
        elif kind in ("description", "ttl", "origins", "extras"):
            said = change["entries"] if "entries" in change else change["new"]
            on[kind] = bytes.fromhex(change["blob"]) if change.get("blob") else said
        elif kind == "part":
            state["upserts"][change["upsert"]] = [*state["upserts"].get(change["upsert"], []), change]
        elif kind == "part extras":
            (part,) = (part for part in state["upserts"][change["upsert"]] if part["tree"] == change["tree"])
            part["extras"] = bytes.fromhex(change["blob"]) if change["blob"] else {}
        elif kind in ("finish", "drop"):
            parts, gone = state["upserts"].pop(change["upsert"], []), change.get("tree")
            if kept := [part for part in parts if gone and part["tree"] != gone]:
                state["upserts"][change["upsert"]] = kept
        elif kind in ("delete", "withdraw", "delete collection", "undelete"):
            for gone in change.get("ids", [id_]):
                state["ids"].get(gone, {})["live"] = kind == "undelete"
            state["exists"] |= kind == "undelete"
            if kind == "delete collection" and not any(v["live"] for v in state["versions"].values()):
                state |= {"exists": False, "upserts": {}, "keep": None} | new
        elif kind == "moved from":
            source, number = log(*path), change["number"]
            assert number and source[number][0] == change["digest"], "moved from an entry that is not there"
            state["exists"] = ("moved to", token) in [c[:2] for _, cs in source[number + 1 : number + 2] for c in cs]
            if state["exists"]:
                state = fold(log, *path, upto=number) | {"names": state["names"] or names}
        elif kind == "moved to":
            state = fold(log, *names, upto=0) | {"names": state["names"], "type": state["type"], "redirect": path}
        else:
            assert kind == "not moved", f"a change of kind {kind}"
        state["aliases"] = {a: i for a, i in state["aliases"].items() if i and state["ids"][i]["live"]}
    return state


def fold_run(changes: list[Change]) -> dict[str, Any]:
    """A run: `start` and `label` as they were said last, `finish` None while it goes on; edges by id, history by part."""
    kinds = ("config", "summary", "define", "used", "logged", "history", "files")
    new: dict[str, Any] = {"label": None, **{kind: {} for kind in kinds}}
    run: dict[str, Any] = new | {"deleted": False}
    for kind, _, change in changes:
        if kind == "start":
            run = (new if run["deleted"] else run) | {"start": change, "finish": None, "deleted": False}
        elif kind in ("config", "summary"):
            run[kind] = {k: v for k, v in run[kind].items() if k not in change["remove"]} | change["set"]
        elif kind == "define":
            run[kind] = run[kind] | {change["metric"]: change["keep"]}
        elif kind in ("used", "logged", "history"):
            key = change["part" if kind == "history" else "id"]
            run[kind] = run[kind] | {key: run[kind].get(key, change)}
        elif kind == "files":
            more = run[kind] | dict.fromkeys(change["replaces"]) | {change["part"]: change}
            run[kind] = run[kind] if change["part"] in run[kind] else more
        elif kind == "delete":
            run = run | {"deleted": True, "history": {}, "files": {}}
        else:
            run[kind] = change
    return run


def unsealed(run: Path, known: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Paths and bytes of a run's files in folders beside its log that no change names."""
    for file in [file for file in run.glob("files.*/**/*") if file.is_file()]:
        folder, *path = file.relative_to(run).parts
        if folder not in known and not path[0].startswith(".artstore-"):
            yield "/".join(path).encode(), file.read_bytes()
