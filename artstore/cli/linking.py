"""link, unlink, registry: link versions into other artifacts."""

from typing import Any

import click

from artstore.cli.arguments import SPEC
from artstore.cli.commands import Commands
from artstore.cli.output import answer, from_option, json_option, listing, open_repository, open_view
from artstore.domain.collection import State
from artstore.domain.names import REGISTRY, check_type, registry_project
from artstore.domain.wording import count, near, typed
from artstore.errors import NotFound, Refused
from artstore.operations.finding.lookup import Version
from artstore.view import View


@click.command("link")
@click.argument("spec", type=SPEC)
@click.argument("target")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias for the link; may be repeated.")
@json_option
def link_command(spec: str, target: str, aliases: tuple[str, ...], as_json: bool) -> None:
    """Link a version into another artifact, such as a registry's.

    TARGET is [[ENTITY/]PROJECT/]NAME, such as registry-models/churn. The link has its own number and aliases, and
    shares content, tags and metadata with the version. No files are copied.
    """
    with open_repository() as repository:
        source = repository.find(spec, for_good=True)
        made = repository.link(source, target, aliases)
        name, named = repository.lookup.named(made), made.state.aliases_of(made.id)
    value = {"spec": made.spec, "source": source.spec, "aliases": named}
    answer(as_json, value, f"linked {repository.lookup.named(source)} as {name} ({', '.join(named)})")


@click.command("unlink")
@click.argument("spec", type=SPEC)
@json_option
def unlink_command(spec: str, as_json: bool) -> None:
    """Remove a link; the linked version stays."""
    with open_repository() as repository:
        gone = repository.unlink(spec)
    answer(as_json, {"unlinked": gone.spec}, f"unlinked {repository.lookup.named(gone)}; the linked version stays")


@click.group("registry", cls=Commands)
def registry_command() -> None:
    """List, create and delete registries.

    A registry is a project called `registry-NAME`. Its artifacts hold links to versions of other projects.
    """


@registry_command.command("ls")
@click.argument("name", required=False)
@from_option
@json_option
def ls_command(name: str | None, place: str | None, as_json: bool) -> None:
    """List registries, or the links in one."""
    with open_view(place) as repository:
        entity = repository.settings.entity
        if name is not None:
            _print_links(repository, _project(repository, name), as_json)
            return
        found = [(project, repository.registry(entity, project)) for project in _projects(repository)]
        rows = [_registry(repository, project, said) for project, said in found]
    cells = [(r["name"], f"{r['collections']:,}", ", ".join(r["types"]) or "all", r["description"] or "") for r in rows]
    nothing = "there are no registries; `artstore registry create NAME` or a first link makes one"
    listing(as_json, rows, cells, ("REGISTRY", "ARTIFACTS", "TYPES", "DESCRIPTION"), nothing, right=(1,))


def _projects(repository: View) -> list[str]:
    states = repository.refs.collections(repository.settings.entity)
    return sorted({state.path.project for state in states if state.path.in_registry})


def _project(repository: View, name: str) -> str:
    """The project of a registry. Raises NotFound, with similar names as its hint."""
    project = registry_project(name)
    there = _projects(repository)
    if project not in there:
        raise NotFound(f"there is no registry '{name}'", hint=near(name, [p.removeprefix(REGISTRY) for p in there]))
    return project


def _registry(repository: View, project: str, said: State) -> dict[str, Any]:
    return {
        "name": project.removeprefix(REGISTRY), "project": project,
        "collections": sum(1 for _ in repository.collections(repository.settings.entity, project)),
        "types": said.metadata.get("artifact_types", []), "description": said.description,
    }  # fmt: skip


def _print_links(repository: View, project: str, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    home = repository.settings.entity, ""
    for state in repository.collections(repository.settings.entity, project):
        named = state.all_aliases()
        for version in reversed(state.live()):
            found, noted = Version(state, version), version.get("source")
            source = repository.lookup.source_of_any_time(found)
            path, number = repository.lookup.saved_as(found)
            of = f"{repository.lookup.short(path, home)}:v{number}" if noted else "-"
            gone = " (deleted)" if noted and (source is None or not source.is_live) else ""
            aliases = named.get(version["id"], [])
            rows.append({"spec": found.spec, "type": state.type, "source": of + gone, "aliases": aliases})
    cells = [(row["spec"].partition("/")[2], row["type"], row["source"], ", ".join(row["aliases"])) for row in rows]
    nothing = f"{project} has no links; {typed('link', 'NAME:vN', f'{project}/NAME')} makes one"
    listing(as_json, rows, cells, ("LINK", "TYPE", "SOURCE", "ALIASES"), nothing)


@registry_command.command("create")
@click.argument("name")
@click.option("-d", "--description", help="Description of the registry.")
@click.option("-t", "--type", "types", multiple=True, help="Type that it accepts; may be repeated  [default: all]")
@json_option
def create_command(name: str, description: str | None, types: tuple[str, ...], as_json: bool) -> None:
    """Create a registry. The first link into `registry-NAME/…` creates it too."""
    with open_repository() as repository:
        project = registry_project(name)
        told = {"artifact_types": [check_type(type) for type in types]}
        repository.edit_registry(repository.settings.entity, project, new=True, description=description, metadata=told)
    how = f"{typed('link', 'NAME:vN', f'{project}/NAME')} links a version into it"
    answer(as_json, {"registry": project}, f"created registry {project}; {how}")


@registry_command.command("rm")
@click.argument("name")
@click.option("--force", is_flag=True, help="Delete it even if it has links.")
@json_option
def rm_command(name: str, force: bool, as_json: bool) -> None:
    """Delete a registry and its links; the linked versions stay."""
    with open_repository() as repository:
        project = _project(repository, name)
        collections = repository.collections(repository.settings.entity, project)
        links = sum(len(state.live()) for state in collections)
        if links and not force:
            raise Refused(f"{project} has {count(links, 'link')}", hint="--force deletes them, not the linked versions")
        repository.delete_registry(repository.settings.entity, project)
    value = {"deleted": project, "links": links}
    answer(as_json, value, f"deleted registry {project} with {count(links, 'link')}; the linked versions stay")
