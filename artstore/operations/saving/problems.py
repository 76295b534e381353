"""Problems: why files of a folder can't be saved, gathered during the walk and reported together."""

from artstore.domain.ignore import IGNORE_FILE
from artstore.domain.names import printable
from artstore.errors import SourceError

VANISHED = "vanished while the folder was read"


class Problems:
    """Paths that can't be saved, each with the reason."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._vanished: dict[bytes, set[bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: bytes, reason: str) -> None:
        """Note a problem of the file or folder at this path below the root.

        What vanished may turn out to be none: see `take_vanished`.
        """
        folder, slash, name = path.rstrip(b"/").rpartition(b"/")
        if reason == VANISHED and name:
            self._vanished.setdefault(folder + slash, set()).add(name)
            return
        self._found.append((printable(path.rstrip(b"/")) or ".", reason))

    def take_vanished(self, folder: bytes) -> set[bytes]:
        """The names in a folder that were listed and then were gone. From now on they are not problems."""
        return self._vanished.pop(folder, set())

    def miss(self, path: bytes) -> None:
        """Note that something vanished whose absence is a problem."""
        self._found.append((printable(path), VANISHED))

    @property
    def first_reason(self) -> str:
        """The reason of the first problem, if not the file vanished."""
        return self._found[0][1] if self._found else VANISHED

    def error(self, root: str) -> SourceError:
        """The error that names the first problem and carries all of them."""
        first, reason = self._found[0]
        more = f", and {len(self._found) - 1} more" if len(self._found) > 1 else ""
        message = f"{len(self._found)} of the files in {printable(root)} can't be added: {first}: {reason}{more}"
        hint = f"mend or remove them, or leave them out with {IGNORE_FILE}; nothing was saved"
        return SourceError(message, problems=self._found, hint=hint)


def reason_of(error: OSError) -> str:
    """The system's words for an error, such as "permission denied"."""
    return (error.strerror or type(error).__name__).lower()


def source_error(verb: str, path: str, reason: str) -> SourceError:
    """The error for a single file or folder, such as "cannot open x: permission denied"."""
    return SourceError(f"cannot {verb} {printable(path)}: {reason}", problems=[(path, reason)])
