"""Arguments that several commands share: specs with shell completion, KEY=VALUE pairs, JSON from a file, durations."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from artstore.backends.addresses import path_here
from artstore.domain.ignore import PathFilter
from artstore.domain.names import LOCK_FILE, as_project, check_project, file_name_of, printable
from artstore.domain.selection import Selection
from artstore.errors import ArtstoreError, InvalidValue, NotFound
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.store.settings import require_root
from artstore.view import View

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from artstore.domain.filters import Asked


class Spec(click.types.StringParamType):
    """A version or collection by name; the shell completes names, then aliases and numbers."""

    name = "spec"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return None

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            with Repository(require_root()) as repository:
                return [CompletionItem(text) for text in _specs(repository, incomplete) if text.startswith(incomplete)]
        except (ArtstoreError, OSError):
            return []


def _specs(repository: Repository, incomplete: str) -> list[str]:
    name, colon, _ = incomplete.partition(":")
    if colon:
        state = repository.collection(name)
        numbers = [f"v{version['number']}" for version in reversed(state.live())]
        return [f"{name}:{text}" for text in ("latest", *state.aliases, *numbers)]
    paths = [state.path for state in repository.collections()]
    if "/" not in incomplete:
        return [repository.lookup.short(path) for path in paths]
    entity = repository.settings.entity
    return [f"{path.project}/{path.name}" for path in paths if path.entity == entity] + [str(path) for path in paths]


def home_of(repository: View, text: str | None) -> tuple[str | None, str | None]:
    """The entity and project that [ENTITY/]PROJECT names. ENTITY alone means all its projects.

    One name is a project of the default entity, if there is one; else an entity that has something here; else the
    project of the only entity that has one of this name. Raises NotFound if several have.
    """
    if text is None:
        return None, None
    entity, _, project = text.rstrip("/").rpartition("/")
    if entity:
        return check_project(entity, "entity"), as_project(project)
    own = repository.settings.entity, as_project(project)
    if _holds(repository, *own):
        return own
    if _holds(repository, project):
        return project, None
    others = _entities_with(repository, own[1])
    if len(others) > 1:
        meant = " or ".join(f"'{printable(entity)}/{printable(project)}'" for entity in others[:3])
        raise NotFound(f"there is no project '{'/'.join(map(printable, own))}'", hint=f"did you mean {meant}?")
    return (others[0], own[1]) if others else own


def _entities_with(repository: View, project: str) -> list[str]:
    """The entities that have a project of this name, sorted."""
    found = dict[str, str]()
    for log in (repository.refs, repository.runs):
        for folder in log.paths():
            _, entity, name, _ = folder.split("/")
            if name == file_name_of(project) and entity not in found:
                found[entity] = log.read_folder(folder).path.entity
    return sorted(found.values())


def is_project(repository: View, text: str) -> bool:
    """Whether [ENTITY/]PROJECT or ENTITY names something here."""
    entity, project = home_of(repository, text)
    return entity is not None and _holds(repository, entity, project)


def _holds(repository: View, entity: str, project: str | None = None) -> bool:
    logs = repository.refs.paths(entity, project), repository.runs.paths(entity, project)
    return any(next(paths, None) is not None for paths in logs)


def of_type(found: Version, type: str | None) -> Version:
    """The same version. Raises NotFound if it is of another type than is asked for."""
    if type is not None and type != found.state.type:
        raise NotFound(f"{found.name} has type '{printable(found.state.type)}', not '{printable(type)}'")
    return found


class Place(click.types.StringParamType):
    """A folder or file, which may not exist yet. The shell completes files, or with the kind `dir` only folders."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self._kind = name, kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return path_here(super().convert(value, param, ctx))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type=self._kind)]


SPEC = Spec()
FOLDER, FILE = Place("folder", "dir"), Place("file", "file")


lock_option = click.option(
    "--file", "lock", type=FILE, help=f"Lock file to use.  [default: {LOCK_FILE}, here or above]"
)


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select files of a version to a command, which gets them as `selection`."""

    @wraps(command)
    def chosen(path_prefix: str, include: tuple[str, ...], exclude: tuple[str, ...], **others: Any) -> None:
        command(selection=Selection(path_prefix, PathFilter(include or None, exclude or None)), **others)

    for option in (
        click.option("--exclude", multiple=True, help="Skip files that match this glob; may be repeated."),
        click.option("--include", multiple=True, help="Only files that match this glob; may be repeated."),
        click.option("--path-prefix", default="", help="Only paths that start with this, such as images/bikes/."),
    ):
        chosen = option(chosen)
    return chosen


def metadata_from(text: str | None) -> Any:
    """The text as given, or the JSON in FILE for `@FILE`. Raises InvalidValue if FILE can't be read or isn't JSON."""
    if text is None or not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InvalidValue(
            f"cannot read metadata from {printable(text[1:])}: {(error.strerror or '').lower()}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{printable(text[1:])} is not JSON: {error}") from error


def nothing_matches(what: str, where: tuple[str, ...], asked: Asked, *, plain: bool) -> None:
    """Report on standard error that no `what` matches the conditions, and what may be wrong with these.

    Beside JSON and CSV, which are not `plain`, an empty answer is only reported if something may be wrong.
    """
    from artstore.domain.filters import parsed, pattern_hint

    noun, unset, pattern = what.removesuffix("s"), asked.unset(), pattern_hint(where)
    others = asked.of_other_kinds(parsed(where))
    if not (plain or unset or pattern or others):
        return
    why = [*(f"no {noun} has '{printable(name)}'" for name, _ in unset), *others]
    click.echo("; ".join([f"no matching {what}", *why]), err=True)
    for hint in filter(None, [*(hint for _, hint in unset), pattern]):
        click.echo(f"hint: {hint}", err=True)


def pairs(texts: tuple[str, ...]) -> dict[str, Any]:
    """Parse KEY=VALUE pairs. A value that is valid JSON is decoded; any other value stays text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidValue(f"'{printable(text)}' is not KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value
    return found
