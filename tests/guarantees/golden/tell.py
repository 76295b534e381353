"""What a repository tells, in the words of golden repositories' expectations: by the independent reader, by the package."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from blake3 import blake3

from artstore.domain.collection import VersionState
from artstore.domain.digest import BLOB, Digest
from artstore.domain.extras import extras_of
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, REFERENCE
from artstore.view import View
from tests.support.reader import Reader

Told = dict[str, Any]


def by_reader(root: Path) -> Told:
    reader = Reader(root)
    states = {"/".join(log): reader.state(*log) for log in reader.logs}
    spelled = {log: "/".join(state["names"]) if state["names"] else log for log, state in states.items()}
    ids = {v["id"]: f"{spelled[log]}:v{n}" for log, s in states.items() for n, v in s["versions"].items()}

    def text(value: Any) -> Any:
        return reader.read(value.hex()).decode() if isinstance(value, bytes) else value

    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {key: json.loads(text(value)) if isinstance(value, bytes) else value for key, value in values.items()}

    def files(found: Any) -> dict[str, list[Any]]:
        return {os.fsdecode(path): [kind, size, digest] for path, kind, size, digest in found}

    def version(v: dict[str, Any]) -> Told:
        origins, extras = plain({key: v[key] for key in ("origins", "extras")}).values()
        said = {key: v[key] for key in ("id", "digest", "size", "live", "run", "tags", "ttl")}
        said |= {"count": v["files"], "parents": [ids.get(id, id) for id in v["parents"]], "source": v.get("source")}
        said |= {"description": text(v["description"]), "metadata": plain(v["metadata"]), "origins": origins}
        said |= {"author": v["author"]} if "author" in v else {}
        said |= {"extras": extras} if extras else {}
        return said | ({"files": files(reader.files(v["id"]))} if v["live"] else {})

    def part(p: dict[str, Any]) -> dict[str, Any]:
        """Its files, and their extras."""
        return files(reader.below(p)) | (plain({"extras": p["extras"]}) if p.get("extras") else {})

    def collection(state: dict[str, Any]) -> Told:
        numbers = {v["id"]: number for number, v in state["versions"].items()}
        return {
            **{key: state[key] for key in ("type", "exists", "tags")},
            **({"keep": state["keep"]} if state["keep"] else {}),
            "redirect": "/".join(state["redirect"]) if state["redirect"] else None,
            "description": text(state["description"]),
            "metadata": plain(state["metadata"]),
            "aliases": {alias: numbers[id] for alias, id in state["aliases"].items()},
            "unfinished": {u: {p["writer"]: part(p) for p in ps} for u, ps in state["upserts"].items()},
            "versions": {str(number): version(v) for number, v in state["versions"].items()},
        }

    def run(found: dict[str, Any]) -> Told:
        label = found["label"] or {"name": None, "notes": None, "tags": []}
        ended = found["finish"] or {"state": None, "code": None}
        return {
            **{key: found[key] for key in ("config", "summary", "rows", "deleted")},
            **{key: found["start"][key] for key in ("job_type", "group")},
            **{key: label[key] for key in ("name", "notes", "tags")}, **{key: ended[key] for key in ("state", "code")},
            **({"author": found["start"]["author"]} if "author" in found["start"] else {}),
            **({"defined": found["define"]} if found["define"] else {}),
            "used": {_spec(edge): edge["as"] for edge in found["used"].values()},
            "logged": [_spec(edge) for edge in found["logged"].values()],
            **({"files": {os.fsdecode(p): [*one] for p, one in found["trees"].items()}} if found["trees"] else {}),
        }  # fmt: skip

    collections = {spelled[log]: collection(state) for log, state in states.items()}
    found = [reader.run(*names) for names in reader.runs]
    runs = {"/".join(one["start"][part] for part in ("entity", "project", "run")): run(one) for one in found}
    return {"collections": collections, "runs": runs}


def _spec(edge: dict[str, Any]) -> str:
    return f"{edge['entity']}/{edge['project']}/{edge['name']}:v{edge['number']}"


def by_package(repository: View, *, absent: bool = False) -> Told:
    """`absent`: the bytes of files need not be there, and are not read."""
    states = [repository.refs.read_folder(folder) for folder in repository.refs.paths()]
    ids = {v["id"]: f"{state.path}:v{v['number']}" for state in states for v in state.versions.values()}

    def text(digest: str) -> str:
        return repository.objects.read(BLOB, Digest(bytes.fromhex(digest))).decode()

    def metadata(owner: dict[str, Any]) -> dict[str, Any]:
        long = {key: json.loads(text(blob)) for key, blob in owner.get("blobs", {}).items()}
        return owner.get("metadata", {}) | long

    def described(owner: dict[str, Any]) -> str | None:
        value = owner.get("description")
        return text(value["blob"]) if isinstance(value, dict) else value

    def origins(v: VersionState) -> Any:
        said = v.get("origins", {})
        return json.loads(text(said["blob"])) if isinstance(said.get("blob"), str) else said

    def files(tree: str) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for path, entry in repository.walk(Digest(bytes.fromhex(tree))):
            if entry[1] == REFERENCE:
                found[os.fsdecode(path)] = [entry[1], entry[2], entry[3]]
            elif entry[1] != DIRECTORY:
                hashed = blake3()
                for piece in () if absent else repository.content(entry):
                    hashed.update(piece)
                digest = entry[3].hex() if absent else hashed.hexdigest()
                found[os.fsdecode(path)] = [entry[1], entry[2], digest]
        return found

    def version(v: VersionState) -> Told:
        live = "deleted" not in v
        said = {key: v[key] for key in ("id", "digest", "size", "run")}
        said |= {"count": v["files"], "parents": [ids.get(id, id) for id in v["parents"]], "source": v.get("source")}
        said |= {"live": live, "tags": sorted(v.get("tags", [])), "ttl": v.get("ttl", "inherit"), "origins": origins(v)}
        said |= {"description": described(v), "metadata": metadata(v)}
        said |= {"author": v["author"]} if "author" in v else {}
        extras = extras_of(v, partial(repository.objects.read, BLOB))
        return said | ({"extras": extras} if extras else {}) | ({"files": files(v["digest"])} if live else {})

    def part(p: dict[str, Any]) -> dict[str, Any]:
        return files(p["tree"]) | ({"extras": json.loads(text(p["extras"]))} if p.get("extras") else {})

    def run_files(state: RunState) -> dict[str, list[Any]]:
        def digest(path: str) -> str:
            with repository.open_run_file(state, path) as file:
                return blake3(file.read()).hexdigest()

        found = repository.run_files(state).values() if not absent else ()
        return {file.path: [file.size, digest(file.path)] for file in found}

    collections = {}
    for state in states:
        collections[str(state.path)] = {
            "type": state.type or None,
            "exists": state.exists,
            **({"keep": state.keep} if state.keep else {}),
            "redirect": str(state.redirect) if state.redirect else None,
            "tags": sorted(state.tags),
            "description": described(vars(state)),
            "metadata": metadata(vars(state)),
            "aliases": {alias: state.versions[id]["number"] for alias, id in state.aliases.items()},
            "unfinished": {u: {p["writer"]: part(p) for p in parts} for u, parts in state.upserts.items()},
            "versions": {str(v["number"]): version(v) for v in state.versions.values()},
        }
    runs = {}
    for folder in repository.runs.paths():
        one = repository.runs.read_folder(folder)
        runs[str(one.path)] = {
            **{key: getattr(one, key) for key in ("config", "summary", "job_type", "group", "notes", "tags")},
            **({"defined": one.defined} if one.defined else {}),
            **({"author": one.author} if one.author else {}),
            "rows": [] if one.deleted else list(repository.run_history(one)),
            "name": None if one.name == one.path.id else one.name,
            "deleted": bool(one.deleted),
            "state": one.finished,
            "code": one.exit_code,
            "used": {_spec(edge): edge["as"] for edge in one.used.values()},
            "logged": [_spec(edge) for edge in one.logged.values()],
            **({"files": kept} if (kept := run_files(one)) else {}),
        }
    return {"collections": collections, "runs": runs}
