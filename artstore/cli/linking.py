"""link, unlink, registry: versions that stand in other artifacts, too."""

from typing import Any

import click

from artstore.cli.arguments import SPEC
from artstore.cli.commands import Commands
from artstore.cli.output import from_option, json_option, open_repository, open_view, print_json, table
from artstore.domain.collection import State
from artstore.domain.names import REGISTRY, check_type, registry_project
from artstore.domain.wording import count, near, typed
from artstore.errors import NotFound, Refused
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.view import View


@click.command("link")
@click.argument("spec", type=SPEC)
@click.argument("target")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias that the link gets there; may be repeated.")
@json_option
def link_command(spec: str, target: str, aliases: tuple[str, ...], as_json: bool) -> None:
    """Link a version into another artifact, such as a registry's.

    TARGET is [[ENTITY/]PROJECT/]NAME, such as registry-models/churn. The link has a number and aliases of its own there,
    and shares content, tags and metadata with its source. Nothing is copied on disk.
    """
    with open_repository() as repository:
        source = repository.find(spec)
        made = repository.link(source, target, aliases)
        name, named = repository.lookup.named(made), made.state.aliases_of(made.id)
    if as_json:
        print_json({"spec": made.spec, "source": source.spec, "aliases": named})
    else:
        click.echo(f"linked {repository.lookup.named(source)} as {name} ({', '.join(named)})")


@click.command("unlink")
@click.argument("spec", type=SPEC)
@json_option
def unlink_command(spec: str, as_json: bool) -> None:
    """Take a link away; the version stays where it was made."""
    with open_repository() as repository:
        gone = repository.unlink(spec)
    if as_json:
        print_json({"unlinked": gone.spec})
    else:
        click.echo(f"unlinked {repository.lookup.named(gone)}; its source stays")


@click.group("registry", cls=Commands)
def registry_command() -> None:
    """List and make registries, whose artifacts are links.

    A registry is a project `registry-NAME`; its links lead to versions that were made elsewhere.
    """


@registry_command.command("ls")
@click.argument("name", required=False)
@from_option
@json_option
def ls_command(name: str | None, place: str | None, as_json: bool) -> None:
    """List registries, or what is linked in one."""
    with open_view(place) as repository:
        entity = repository.settings.entity
        if name is not None:
            _print_links(repository, _project(repository, name), as_json)
            return
        found = [(project, repository.registry(entity, project)) for project in _projects(repository)]
        rows = [_registry(repository, project, said) for project, said in found]
    if as_json:
        print_json(rows)
    elif rows:
        cells = [
            (r["name"], f"{r['collections']:,}", ", ".join(r["types"]) or "all", r["description"] or "") for r in rows
        ]
        table(cells, ("REGISTRY", "ARTIFACTS", "TYPES", "DESCRIPTION"), right=(1,))
    else:
        click.echo(
            "there are no registries: `artstore registry create NAME` makes one, and so does a first link", err=True
        )


def _projects(repository: View) -> list[str]:
    states = repository.refs.collections(repository.settings.entity)
    return sorted({state.path.project for state in states if state.path.in_registry})


def _project(repository: View, name: str) -> str:
    """Raises NotFound with near names."""
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
    for state in repository.collections(repository.settings.entity, project):
        named = state.all_aliases()
        for version in reversed(state.live()):
            found, place = Version(state, version), version.get("source")
            source = repository.lookup.source(found)
            of = f"{place['project']}/{place['name']}:v{place['number']}" if place else "-"
            if source is not None:
                of = f"{source.state.path.project}/{source.name}"
            gone = " (deleted)" if place and source is None else ""
            aliases = named.get(version["id"], [])
            rows.append({"spec": found.spec, "type": state.type, "source": of + gone, "aliases": aliases})
    if as_json:
        print_json(rows)
    elif rows:
        cells = [(row["spec"].partition("/")[2], row["type"], row["source"], ", ".join(row["aliases"])) for row in rows]
        table(cells, ("LINK", "TYPE", "SOURCE", "ALIASES"))
    else:
        click.echo(f"nothing is linked in {project}: {typed('link', 'NAME:vN', f'{project}/NAME')}", err=True)


@registry_command.command("create")
@click.argument("name")
@click.option("-d", "--description", help="What it is for.")
@click.option("-t", "--type", "types", multiple=True, help="A type that it takes; may be repeated  [default: all]")
@json_option
def create_command(name: str, description: str | None, types: tuple[str, ...], as_json: bool) -> None:
    """Make a registry. A first link into `registry-NAME/…` does so, too."""
    with open_repository() as repository:
        project = registry_project(name)
        told = {"artifact_types": [check_type(type) for type in types]}
        repository.edit_registry(repository.settings.entity, project, new=True, description=description, metadata=told)
    if as_json:
        print_json({"registry": project})
    else:
        click.echo(f"made registry {project}; {typed('link', 'NAME:vN', f'{project}/NAME')} links a version into it")


@registry_command.command("rm")
@click.argument("name")
@click.option("--force", is_flag=True, help="Though artifacts are linked in it.")
@json_option
def rm_command(name: str, force: bool, as_json: bool) -> None:
    """Delete a registry with all its links; what they link to stays."""
    with open_repository() as repository:
        project = _project(repository, name)
        links = _count(repository, project)
        if links and not force:
            raise Refused(f"{project} holds {count(links, 'link')}", hint="--force takes them away; their sources stay")
        repository.delete_registry(repository.settings.entity, project)
    if as_json:
        print_json({"deleted": project, "links": links})
    else:
        click.echo(f"deleted registry {project} with {count(links, 'link')}; what they linked to stays")


def _count(repository: Repository, project: str) -> int:
    return sum(len(state.live()) for state in repository.collections(repository.settings.entity, project))
