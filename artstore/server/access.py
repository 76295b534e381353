"""Access: what the holder of a token may see and do. Everything that answers a request asks here, and only here."""

from typing import NamedTuple
from urllib.parse import unquote

from artstore.domain.codec import encode_json
from artstore.domain.digest import plain_digest
from artstore.domain.names import check_name, check_project, file_name_of, printable
from artstore.domain.roles import Grant, Role
from artstore.errors import InvalidValue, NotFound, Refused

REFS, RUNS = "refs", "runs"


class LogPlace(NamedTuple):
    """A log, as its folder names it."""

    top: str
    """refs or runs"""
    entity: str
    project: str
    name: str
    folder: str


def log_place(folder: object) -> LogPlace:
    """The log in a folder. Raises InvalidValue unless the folder is exactly that of a log of this name."""
    parts = folder.split("/") if isinstance(folder, str) else []
    try:
        top, entity, project, name = parts[0], *map(unquote, parts[1:])
        check_project(entity), check_project(project)
        (check_name if top == REFS else check_project)(name)
        same = "/".join([top, *map(file_name_of, (entity, project, name))])
    except (ValueError, IndexError):
        same = None
    if same is None or same != folder or parts[0] not in (REFS, RUNS):
        raise InvalidValue(f"'{printable(str(folder))[:200]}' is not the folder of a log")
    return LogPlace(top, entity, project, name, same)


def checked_top(folder: str) -> list[str]:
    """The parts of a folder that is that of a log, or holds logs. Raises InvalidValue for any other."""
    top, *parts = folder.split("/")
    try:
        same = [file_name_of(check_project(unquote(part))) for part in parts]
    except ValueError:
        same = [""]
    if top not in (REFS, RUNS) or same != parts or len(parts) > 3:
        raise InvalidValue(f"there are no logs in '{printable(folder)[:200]}'")
    return [top, *parts]


class Access:
    """What the holder of one token may see and do.

    What they may not see is answered as if it were not there. What they see and may not have is refused, with the role
    that it takes.
    """

    def __init__(self, author: str, grant: Grant) -> None:
        self.author = author
        """the name of the token, which is the verified author of what it writes"""
        self.grant = grant
        self.sees_all = not grant.patterns
        self.scope = plain_digest(encode_json([int(grant.role), sorted(grant.patterns)])).hex()[:16]
        """a digest of what the token may see"""

    def role_in(self, entity: str, project: str) -> Role | None:
        """The role in a project; None if the token may not see it."""
        return self.grant.role_in(entity, project)

    def sees(self, entity: str, project: str) -> bool:
        """Whether the token may know that a project is there."""
        return self.grant.role_in(entity, project) is not None

    def reads(self, entity: str, project: str) -> bool:
        """Whether the token may have the bytes of a project."""
        return (self.grant.role_in(entity, project) or 0) >= Role.READER

    def require(self, least: Role, entity: str, project: str) -> None:
        """Raise NotFound if the token may not see a project, Refused if its role there is less than the `least`."""
        role = self.grant.role_in(entity, project)
        if role is None:
            what = f"there is no project {printable(entity)}/{printable(project)}"
            raise NotFound(what, hint="your token may not be for it: ask who runs this server")
        if role < least:
            what = f"the role '{role.name.lower()}' in {printable(entity)}/{printable(project)} can't do this"
            raise Refused(f"{what}: it takes '{least.name.lower()}'", hint="ask who runs this server")

    def require_somewhere(self, least: Role) -> None:
        """Raise Refused if the token has less than the `least` role in every project."""
        if self.grant.role < least:
            what = f"the role '{self.grant.role.name.lower()}' can't do this: it takes '{least.name.lower()}'"
            raise Refused(what, hint="ask who runs this server")
