"""Pages of what is stored: collections, versions, differences, lineage, disk use and search."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from artstore.api.tables.comparing import TableDiff, table_diff
from artstore.api.tables.naming import ENDING, is_table
from artstore.api.tables.table import Table
from artstore.domain.changes import origin_of
from artstore.domain.collection import Path, State
from artstore.domain.difference import differences
from artstore.domain.names import is_run_table, parse_spec, printable
from artstore.domain.run import RunPath
from artstore.errors import ArtstoreError, Damage, InvalidValue
from artstore.operations.changing.retention import Kept
from artstore.operations.finding.catalog import decoded_run
from artstore.operations.finding.lookup import Version
from artstore.operations.lineage.graph import LIVE, Graph, Node
from artstore.operations.lineage.svg import svg
from artstore.repository import Repository
from artstore.web import render
from artstore.web.render import ROWS, Rows, flat, number_in, page, page_of, path_in, repository_of, text_in, version_in
from artstore.web.sources import VersionFiles, rendered_beside

_DEPTHS = (1, 2, 3, 5, 10)
_BREADTH = 20
_HITS = 200
_COUNTED = 100_000
"""The most differences that are counted. The page says "and more" if there are others."""


def home(request: Request) -> Response:
    """The page of all collections, by project. Tables of runs are left out, unless `all` asks for them."""
    damaged: list[Damage] = []
    with_prefix, left_out = text_in(request, "project"), set[Path]()

    def wanted(state: State) -> bool:
        if is_run_table(state.type) and not text_in(request, "all"):
            left_out.add(state.path)
            return False
        return True

    states = repository_of(request).collections(damaged=damaged)
    of_project = (state for state in states if with_prefix in ("", "/".join(state.path[:2])))
    rows = page_of(request, filter(wanted, of_project))
    return page(
        request, "home.html", "Artifacts", rows=rows, project=with_prefix, damaged=damaged, left_out=bool(left_out)
    )


def collection(request: Request) -> Response:
    """The page of a collection: its versions, newest first."""
    repository = repository_of(request)
    state = repository.collection(str(path_in(request)))
    versions, named = state.live()[::-1], state.all_aliases()
    rows = page_of(request, (_row(repository, Version(state, v), named.get(v["id"], [])) for v in versions))
    return page(
        request, "collection.html", str(state.path), state=state, rows=rows, total=len(versions),
        metadata=list(flat(state.metadata)), deleted=len(state.versions) - len(versions),
        keep=_kept(repository, state) if state.keep else None,
    )  # fmt: skip


def _kept(repository: Repository, state: State) -> Kept:
    """The rule of a collection and what it means now. If that can't be found out, the error is its problem."""
    try:
        return repository.kept(str(state.path))
    except ArtstoreError as error:
        return Kept(state.path, state.keep, False, [], str(error))


def _row(
    repository: Repository, found: Version, aliases: list[str]
) -> tuple[Version, list[str], list[str], RunPath | None]:
    """A version for a list, with its aliases, its tags and the run that made it."""
    return found, aliases, repository.lookup.said_of(found).get("tags", []), _run_named(found.version["run"])


def aliases(request: Request) -> Response:
    """The page of all moves of a collection's aliases, newest first."""
    repository = repository_of(request)
    state = repository.collection(str(path_in(request)))
    history = repository.refs.history(state.path)
    moves = [(entry, change) for entry in history for change in entry.changes if change["kind"] == "alias"]
    numbers = {id: version["number"] for id, version in state.versions.items()}
    rows = page_of(request, reversed(moves))
    return page(request, "aliases.html", f"Aliases of {state.path}", state=state, rows=rows, numbers=numbers)


def version(request: Request) -> Response:
    """The page of a version."""
    repository = repository_of(request)
    found = version_in(request)
    state, id = found.state, found.id
    description, metadata = repository.properties(found)
    catalog = repository.catalog(damaged=[])
    users = [decoded_run(row) for row in islice(catalog.users_of(id), ROWS)]
    before = next((v for v in reversed(state.live()) if v["number"] < found.number), None)
    source = VersionFiles(repository, found)
    about = rendered_beside(description, source) if description else None
    return page(
        request, "version.html", f"{state.path}:v{found.number}", found=found, version=repository.lookup.whole(found),
        aliases=state.aliases_of(id), metadata=list(flat(metadata)), before=before, description=about,
        source=repository.lookup.source_of_any_time(found), linked=_linked(repository, found), opens=source.opens,
        made_by=_run_named(found.version["run"]),
        users=[RunPath(row.entity, row.project, row.id) for row in users],
        parents=[(parent, state.versions.get(parent)) for parent in found.version["parents"]],
    )  # fmt: skip


def _linked(repository: Repository, found: Version) -> str | None:
    """When a link was made (ISO 8601, UTC). None for other versions, and for one that came with its link's copy."""
    if not found.is_link:
        return None
    changes = ((entry, change) for entry in repository.refs.history(found.state.path) for change in entry.changes)
    made = (
        origin_of(entry, change)["time"]
        for entry, change in changes
        if change["kind"] == "link" and change["id"] == found.id
    )
    return next(made, None)


def _run_named(path: str | None) -> RunPath | None:
    return None if path is None else RunPath(*path.split("/"))


# -- differences --


def diff(request: Request) -> Response:
    """The page of differences between the versions `old` and `new`, and with `table` and `key` between their tables."""
    repository = repository_of(request)
    old, new = (repository.find(_spec(request, name)) for name in ("old", "new"))
    before, after = (dict(flat(repository.properties(found)[1])) for found in (old, new))
    keys = sorted(before.keys() | after.keys())
    changed = [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]
    table, key = text_in(request, "table"), text_in(request, "key")
    rows, counts, all_counted = _differing(request, repository, old, new)
    tables = _tables_differ(repository, old, new, table, key) if table and key else None
    one_project = old.state.path[:2] == new.state.path[:2]
    names = (old.name, new.name) if one_project else (old.spec, new.spec)
    opens = all(repository.opens(*found.state.path[:2]) for found in (old, new))
    return page(
        request, "diff.html", " → ".join(names), old=old, new=new, names=names, one_project=one_project,
        metadata=changed, table=table, key=key, opens=opens,
        tables=tables, rows=rows, counts=counts, all_counted=all_counted,
    )  # fmt: skip


def _spec(request: Request, name: str) -> str:
    text = text_in(request, name)
    parse_spec(text)
    return text


def _differing(
    request: Request, repository: Repository, old: Version, new: Version
) -> tuple[Rows, dict[str, int], bool]:
    """The differences on the page that is asked for, how many there are of each kind, and whether all were counted."""
    start, counts, shown, all_counted = number_in(request, "start"), dict[str, int](), [], True
    for number, difference in enumerate(differences(repository.diff(old, new))):
        if number >= max(_COUNTED, start + ROWS):
            all_counted = False
            break
        counts[difference.kind] = counts.get(difference.kind, 0) + 1
        if start <= number < start + ROWS:
            shown.append(difference)
    more = not all_counted or sum(counts.values()) > start + ROWS
    return Rows(shown, start, more), counts, all_counted


def _tables_differ(repository: Repository, old: Version, new: Version, path: str, key: str) -> TableDiff:
    if not is_table(path):
        raise InvalidValue(f"'{printable(path)}' is not a table: a table's name ends with {ENDING}")
    sides = []
    for found in (old, new):
        beside = partial(_opened, repository, found)
        table = Table.read(partial(beside, path), beside, f"'{path}' of {found.name}")
        sides.append(([str(column) for column in table.columns], table.data))
    return table_diff(sides[0], sides[1], key.split(","))


def _opened(repository: Repository, found: Version, path: str) -> BinaryIO:
    return repository.open(repository.entry(found, path))


# -- lineage --


def lineage(request: Request) -> Response:
    """The page of a version's lineage."""
    found = version_in(request)
    depth = number_in(request, "depth", 3, most=100)
    repository = repository_of(request)
    graph = repository.lineage(found, depth=depth, breadth=_BREADTH)
    return page(
        request, "lineage.html", f"Lineage of {found.name}", found=found, depth=depth, depths=sorted({*_DEPTHS, depth}),
        picture=Markup(svg(graph, partial(_address, repository, graph))), omitted=sum(graph.omitted.values()),
        nodes=len(graph.nodes),
    )  # fmt: skip


def _address(repository: Repository, graph: Graph, node: Node) -> str | None:
    """The address that a node of the picture links to; None if it has no page.

    It is a version's lineage, or the version itself for the one whose lineage is shown.
    """
    if node.state != LIVE:
        return None
    if node.kind == "run":
        return render.run_url(RunPath(*node.about["path"].split("/")))
    path, spec = repository.path_of(node.name)
    return render.version_url(path, spec.number or 0, "version" if node.key == graph.start else "lineage")


# -- disk use and search --


def storage(request: Request) -> Response:
    """The page of disk use, and of that of the version `version`."""
    repository, damaged, spec = repository_of(request), list[Damage](), text_in(request, "version").strip()
    usage = repository.usage(damaged=damaged)
    found = repository.find(spec) if spec else None
    of_one = repository.usage_of(found) if found else None
    return page(request, "storage.html", "Storage", usage=usage, damaged=damaged, spec=spec, found=found, of_one=of_one)


class _Hit(NamedTuple):
    address: str
    name: str
    kind: str
    where: str
    """which of its texts contains the searched text"""
    text: str


def search(request: Request) -> Response:
    """The page of collections, versions and runs that contain a text.

    Their names, types, descriptions, tags, aliases and metadata are searched.
    """
    text = text_in(request, "q").strip()
    repository, damaged = repository_of(request), list[Damage]()
    hits = list(islice(_hits(repository, text.casefold(), damaged), _HITS + 1)) if text else []
    return page(request, "search.html", "Search", text=text, hits=hits[:_HITS], more=len(hits) > _HITS, damaged=damaged)


def _hits(repository: Repository, text: str, damaged: list[Damage]) -> Iterator[_Hit]:
    for state in repository.collections(damaged=damaged):
        address, name = render.collection_url(state.path), str(state.path)
        texts = [("name", name), ("type", state.type), *(("tag", tag) for tag in state.tags), *_said(vars(state))]
        yield from _hit(text, address, name, "artifact", texts)
        named = state.all_aliases()
        for version in reversed(state.live()):
            texts = [("alias", alias) for alias in named.get(version["id"], [])]
            texts += [("tag", tag) for tag in version.get("tags", [])]
            texts += [("digest", version["digest"]), ("id", version["id"])] if len(text) >= 6 else []
            texts += _said(version)
            number = version["number"]
            yield from _hit(text, render.version_url(state.path, number), f"{name}:v{number}", "version", texts)
    for row in repository.catalog(damaged=damaged).latest_runs("runs")[1]:
        texts = [("id", row.path), ("name", row.name), ("job type", row.job_type or ""), ("group", row.group or "")]
        yield from _hit(text, render.run_url(RunPath(row.entity, row.project, row.id)), row.path, "run", texts)


def _hit(text: str, address: str, name: str, kind: str, texts: list[tuple[str, str]]) -> Iterator[_Hit]:
    found = next(((where, said) for where, said in texts if text in said.casefold()), None)
    if found is not None:
        yield _Hit(address, name, kind, *found)


def _said(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The description and metadata in a log's entry. Long ones are blobs, which a search doesn't open."""
    texts = [("description", told["description"])] if isinstance(told.get("description"), str) else []
    metadata = told.get("metadata", {})
    return texts + [
        ("metadata", f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        for key, value in metadata.items()
    ]
