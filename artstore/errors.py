"""Every error that artstore raises, each with its exit code and a hint.

    ArtstoreError                     1
    ├── FilesDiffer                   1   `verify` or `diff --exit-code` found differences, `doctor` a problem (also ValueError)
    ├── InvalidValue                  3   a name, path, alias, metadata or setting that breaks a rule (also ValueError)
    │   ├── InvalidType                   something of another type than is asked for (also TypeError)
    │   ├── UnsupportedError              something of W&B's that artstore doesn't have, such as sweeps
    │   └── NoActiveRun                   no run was started, or it has ended (also AttributeError)
    ├── CommError                     9   what W&B's server would have refused: all below, to be caught together
    │   ├── NotFound                  4   no such repository, collection, version, alias or path (also LookupError)
    │   │   ├── NoEntry                   no such path in a version (also KeyError)
    │   │   └── MissingReference          what a reference names is gone (also FileNotFoundError)
    │   ├── Conflict                  5   somebody else's change, another type, an alias that still holds a version
    │   │   ├── ChangedReference          what a reference names is not what it was
    │   │   └── ArtifactStatusError       not possible before, or not after, it was logged (also AttributeError)
    │   │       ├── ArtifactNotLoggedError
    │   │       └── ArtifactFinalizedError
    │   ├── AuthenticationError           a served repository doesn't accept the token
    │   ├── Refused                   6   would overwrite your changes; use --force
    │   └── StorageError              9   storage error: input/output, permission, read-only, no space
    │       ├── NoSpace                   no space or quota left
    │       └── UnknownOutcome            a remote did not say whether it did what was asked: run the command again
    ├── Damage                        7   what is stored is not what was written
    │   ├── DamagedObject                 an object whose bytes do not have its digest
    │   ├── MissingObject                 an object that is nowhere
    │   └── DamagedLog                    an entry that is missing, torn or out of the chain
    ├── SourceError                   8   files to add can't be read, keep changing, or aren't files (also ValueError)
    ├── WandbCoreNotAvailableError        never: artstore is one process, but W&B's scripts catch it
    └── UnsupportedFormat            10   made by a newer artstore, or not an artstore repository

There is a class only for errors that a caller would handle differently. The builtin base classes, and the second names
at the end of the module, are those that code written for W&B catches. A message is one sentence that names the thing
and the place; the hint says what to do about it.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager


class ArtstoreError(Exception):
    """The base of all errors. `str()` is one sentence; `hint` says what to do about it, or is None."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {for_python(hint)}")  # which a traceback shows

    def __str__(self) -> str:
        return self.message


_NAMED = r"(?:-- )?([\w.@:/-]*[\w.-])"
_IN_PYTHON = [
    (rf"ls --project {_NAMED}", r"artstore.Api().artifact_collections('\1')"),
    (rf"ls (?:-r )?(?!-){_NAMED}", r"artstore.Api().artifact('\1').files()"),
    (r"ls -r", "artifact.files()"),
    (r"ls", "artstore.Api().artifact_collections()"),
    (rf"cat {_NAMED} {_NAMED}", r"artstore.Api().artifact('\1').get_entry('\2').download()"),
    (rf"log {_NAMED}", r"artstore.Api().artifacts(name='\1')"),
    (rf"rm --collection {_NAMED}", r"artstore.Api().artifact_collection(name='\1').delete()"),
    (rf"rm (?!-){_NAMED}", r"artstore.Api().artifact('\1').delete(delete_aliases=True)"),
    (rf"keep {_NAMED} {_NAMED}", r"artstore.Api().artifact_collection(name='\1').keep = '\2'"),
    (
        rf"edit --collection --type {_NAMED} {_NAMED}",
        r"artstore.Api().artifact_collection(name='\2').change_type('\1')",
    ),
    (r"get", "artifact.download()"),
    (r"runs ls", "artstore.Api().runs()"),
    (r"init", "artstore.init()"),
]
"""Commands that hints name, as patterns, and what does the same in Python."""


def for_python(hint: str) -> str:
    """A hint for somebody who works in Python: its commands as calls, or marked as commands of a shell.

    >>> for_python("`artstore ls data:v0` lists its files")
    "`artstore.Api().artifact('data:v0').files()` lists its files"
    >>> for_python("`artstore undelete data:v0` may bring it back")
    'in a shell, `artstore undelete data:v0` may bring it back'
    """

    def call(command: re.Match[str]) -> str:
        for pattern, said in _IN_PYTHON:
            if found := re.fullmatch(pattern, command[1]):
                return f"`{found.expand(said)}`"
        return f"in a shell, {command[0]}"

    return re.sub(r"[`]artstore ([^`]+)`", call, hint)


class FilesDiffer(ArtstoreError, ValueError):
    """Files differ from a version. `missing`, `changed` and `extra` list their paths."""

    exit_code = 1

    def __init__(self, message: str, *, missing: list[str], changed: list[str], extra: list[str]) -> None:
        super().__init__(message, hint="`download()` mends missing and changed files, `checkout()` removes extra ones")
        self.missing = missing
        self.changed = changed
        self.extra = extra


class InvalidValue(ArtstoreError, ValueError):
    exit_code = 3


class InvalidType(InvalidValue, TypeError):
    pass


class UnsupportedError(InvalidValue):
    pass


class NoActiveRun(InvalidValue, AttributeError):
    pass


class CommError(ArtstoreError):
    exit_code = 9


class AuthenticationError(CommError):
    pass


class NotFound(CommError, LookupError, ValueError):
    exit_code = 4


class NoEntry(NotFound, KeyError):
    pass


class MissingReference(NotFound, FileNotFoundError):
    pass


class Conflict(CommError, ValueError):
    exit_code = 5


class ChangedReference(Conflict):
    pass


class ArtifactStatusError(Conflict, AttributeError):
    pass


class ArtifactNotLoggedError(ArtifactStatusError):
    pass


class ArtifactFinalizedError(ArtifactStatusError):
    pass


class Refused(CommError):
    exit_code = 6


class Damage(ArtstoreError):
    exit_code = 7


class DamagedObject(Damage):
    pass


class MissingObject(Damage):
    pass


class DamagedLog(Damage):
    pass


class SourceError(ArtstoreError, ValueError):
    """Files can't be added. `problems` lists (path, reason) of all of them, not only of the first."""

    exit_code = 8

    def __init__(self, message: str, *, problems: list[tuple[str, str]], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems

    def __str__(self) -> str:
        lines = [f"{path}: {reason}" for path, reason in self.problems]
        return "\n  ".join([self.message, *lines]) if len(lines) > 1 else self.message


class StorageError(CommError):
    exit_code = 9


class NoSpace(StorageError):
    pass


class UnknownOutcome(StorageError):
    pass


class WandbCoreNotAvailableError(ArtstoreError):
    pass


class UnsupportedFormat(ArtstoreError):
    exit_code = 10


def storage_error(error: OSError, action: str) -> StorageError:
    """A StorageError for an error of the operating system, with the message `cannot <action>: <reason>`."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        nothing_lost = "free some space and run the same command again; nothing was lost"
        return NoSpace(f"cannot {action}: {reason}", hint=nothing_lost)
    hint = None
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "check who owns it and its permissions"
    elif error.errno == errno.EROFS:
        hint = "it is read-only here: get, ls, show and fsck still work"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "too many files are open: raise `ulimit -n`"
    return StorageError(f"cannot {action}: {reason}", hint=hint)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn an OSError in the block into a StorageError that says which action failed."""
    try:
        yield
    except ArtstoreError:
        raise  # some of ours are OSErrors too
    except OSError as error:
        raise storage_error(error, action) from error


Error = ArtstoreError
UsageError = InvalidValue
