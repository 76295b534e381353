"""Names: the rules for names, specs and entry paths, and the file name for each name. Pure functions."""

import os
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from artstore.errors import InvalidType, InvalidValue

if TYPE_CHECKING:  # 3 ms, and no command needs it
    from pathlib import PurePath

DEFAULT_ENTITY = "local"
DEFAULT_PROJECT = "uncategorized"
LOCK_FILE = "artstore.lock"
"""The file in which a project records the versions that it uses."""
REMOTES_FILE = "artstore.remotes"
"""The file in which a project records its remotes."""
MAX_DEPTH = 256
"""Most names in a path: far more than people use, and well below Python's recursion limit."""

_LONGEST = 240
"""Most bytes of a name's file name."""

_USUAL = re.compile(r"[\w.-]+(?: [\w.-]+)*")  # without marks; one look instead of one for each character
_TAG = re.compile(r"[-\w]+(?: [-\w]+)*")
_NUMBER = re.compile(r"v(0|[1-9]\d{0,17})", re.ASCII)  # what 64 bits hold
_LIKE_NUMBER = re.compile(r"v\d+")
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_HEX = re.compile(r"[0-9a-f]+")
_DRIVE = re.compile(rb"[A-Za-z]:")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)")


class Spec(NamedTuple):
    """A parsed spec: `[[entity/]project/]name[:alias | :vN | @digest-prefix]`. Parts that weren't given are None."""

    entity: str | None
    project: str | None
    name: str
    alias: str | None = None
    number: int | None = None
    digest: str | None = None

    @property
    def names_version(self) -> bool:
        return self[3:] != (None, None, None)

    @property
    def ending(self) -> str:
        """The part that names the version: `:alias`, `:vN`, `@digest`, or nothing."""
        if self.digest is not None:
            return f"@{self.digest}"
        alias = f"v{self.number}" if self.number is not None else self.alias
        return f":{alias}" if alias is not None else ""


def parse_spec(text: str) -> Spec:
    """Parse a spec. Raises InvalidValue, which names the wrong part and the rule. No other function parses specs."""
    if not isinstance(text, str):
        raise InvalidType(f"a spec is text such as 'data:latest', not {text!r}")
    path, name = text.rpartition("/")[::2]
    alias = number = digest = None
    if "@" in name:
        name, digest = name.split("@", 1)
        if not 4 <= len(digest) <= 64 or not _HEX.fullmatch(digest):
            raise InvalidValue(
                f"'{printable(digest)}' in '{printable(text)}' is not a digest prefix of 4 to 64 lower-case hex digits"
            )
    elif ":" in name:
        name, alias = name.split(":", 1)
        if match := _NUMBER.fullmatch(alias):
            alias, number = None, int(match[1])
        else:
            alias = check_alias(alias)
    parts = path.split("/") if "/" in text else []
    if len(parts) > 2:
        raise InvalidValue(
            f"'{printable(text)}' has too many parts: a spec is [[entity/]project/]name[:alias|:vN|@digest]"
        )
    entity = check_project(parts[0], "entity") if len(parts) == 2 else None
    project = as_project(parts[-1]) if parts else None
    return Spec(entity, project, check_name(name), alias, number, digest)


def shortened(path: tuple[str, str, str], home: tuple[str, str]) -> str:
    """The path of a collection or run, as users of this entity and project type it."""
    if path[:2] == home:
        return path[2]
    return "/".join(path[1:] if path[0] == home[0] else path)


def collection_named(text: str, hint: str | None = None) -> str:
    """The text, which must name a collection. Raises InvalidValue if it names a version."""
    if not (spec := parse_spec(text)).names_version:
        return text
    alone = printable(text.removesuffix(spec.ending))
    raise InvalidValue(f"'{printable(text)}' names a version; give the artifact alone: {alone}", hint=hint)


def check_name(name: str, what: str = "artifact name") -> str:
    """The NFC form of an artifact, collection or type name. Raises InvalidValue, which states the rule."""
    normal = unicodedata.normalize("NFC", name)
    allowed = _USUAL.fullmatch(normal) or all(map(_is_word, normal.split(" ")))
    if not 1 <= len(normal) <= 128 or not allowed or normal in (".", ".."):
        raise _refused(what, name, "1 to 128 letters, digits, '_', '-', '.' and single spaces inside")
    return _encodable(normal, what)


def _is_word(text: str) -> bool:
    """Whether text is one or more letters with their marks (Hindi and Thai need these), digits, `_`, `-` or `.`."""
    return (
        bool(text)
        and unicodedata.category(text[0])[0] != "M"
        and all(c.isalnum() or c in "_-." or unicodedata.category(c)[0] == "M" for c in text)
    )


def name_from(text: str) -> str:
    """An artifact name made from any text, such as a file's name. Characters that aren't allowed become `-`."""
    text = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).strip("-")[:128]
    while len(file_name_of(text)) > _LONGEST:
        text = text[:-1]
    return text if text not in ("", ".", "..") else "unnamed"


RESERVED = "artstore-"
"""The prefix of reserved types, for collections of artstore's own that hold no artifacts."""
REGISTRY_TYPE = f"{RESERVED}registry"
"""The type of the collection that describes a registry."""


def check_type(name: str) -> str:
    normal = check_name(name, "type")
    if normal.startswith(RESERVED):
        raise _refused("type", normal, f"types that begin with '{RESERVED}' are reserved")
    return normal


_OF_LIBRARIES = {"job": "", "run_table": "run-", "code": "source-"}
"""Types that W&B keeps for artifacts of its own, with the beginning of their names."""


_RUN_TABLES = ("run_table", "wandb-run-incremental-table")


def is_run_table(type: str) -> bool:
    """Whether artifacts of a type are tables that runs logged. Lists for people leave them out unless asked."""
    return type in _RUN_TABLES


def refuse_reserved(type: str, name: str) -> str:
    """The type that a user gives an artifact. Raises InvalidValue for one that is W&B's own."""
    beginning = _OF_LIBRARIES.get(type)
    if type.startswith("wandb-") or (beginning is not None and name.startswith(beginning)):
        raise InvalidValue(
            f"Artifact type '{printable(type)}' is reserved for internal use. Please use a different type."
        )
    return type


@lru_cache(4096)  # a listing of 1,000 collections asks for the same few
def check_project(name: str, what: str = "project") -> str:
    """The NFC form of a project, entity or run id. Raises InvalidValue, which states the rule."""
    normal = unicodedata.normalize("NFC", name)
    bad = set(normal) & set("/\\#?%:") or any(unicodedata.category(c) in ("Cc", "Cs") for c in normal)
    if not 1 <= len(normal) <= 128 or bad or normal in (".", ".."):
        raise _refused(what, name, "1 to 128 characters, none of / \\ # ? % : or control ones")
    return _encodable(normal, what)


REGISTRY = "registry-"
"""The prefix of projects that are registries."""


@lru_cache(4096)
def as_project(name: str) -> str:
    """A project's name in NFC. W&B's name of a registry, `wandb-registry-x`, becomes `registry-x`.

    Raises InvalidValue, which states the rule.
    """
    normal = check_project(name)
    return normal.removeprefix("wandb-") if normal.startswith(f"wandb-{REGISTRY}") else normal


def registry_project(name: str) -> str:
    """The project of a registry, from any of its names: `x`, `registry-x` or `wandb-registry-x`.

    Raises InvalidValue for a name that W&B can't have, since there `wandb-registry-` is before it.
    """
    own = name.removeprefix("wandb-") if name.startswith(f"wandb-{REGISTRY}") else name
    own = own.removeprefix(REGISTRY)
    if not own:
        raise InvalidValue("Registry name cannot be empty")
    most = 128 - len(f"wandb-{REGISTRY}")
    if len(own) > most:
        raise InvalidValue(f"Invalid registry name '{printable(own)}', must be {most} characters or less")
    try:
        return as_project(REGISTRY + own)
    except InvalidValue as error:
        raise InvalidValue(f"Invalid project/registry name '{printable(own)}': {error}") from None


def check_alias(alias: str) -> str:
    """The NFC form of an alias. Raises InvalidValue. `latest` passes; the code that sets aliases refuses it."""
    normal = unicodedata.normalize("NFC", alias)
    if set(normal) & set("/:"):
        what = "Aliases must not contain any of the following characters: '/', ':'"
        raise InvalidValue(what, hint=f"the alias was '{printable(alias[:140])}'")
    if not 1 <= len(normal) <= 128 or set(normal) & set("/:@") or not normal.isprintable() or normal != normal.strip():
        raise _refused("alias", alias, "1 to 128 characters, none of / : @ or control ones, and no space at its ends")
    if _LIKE_NUMBER.fullmatch(normal.casefold()) or (len(normal) == 64 and _HEX.fullmatch(normal.lower())):
        raise _refused("alias", alias, "it reads like a version number or a digest")
    return normal


def check_new_alias(alias: str) -> str:
    """The NFC form of an alias that is to be set. Raises InvalidValue also for `LATEST`, which an import may have set."""
    normal = check_alias(alias)
    if normal != "latest" and normal.casefold() == "latest":
        raise _refused("alias", alias, "it differs from 'latest', the newest version, only by case")
    return normal


def check_tag(tag: str) -> str:
    """The NFC form of a tag. Raises InvalidValue, which states the rule."""
    if not isinstance(tag, str):
        raise InvalidType(f"a tag must be text, not {tag!r}")
    tag = unicodedata.normalize("NFC", tag)
    if not _TAG.fullmatch(tag) or len(tag) > 128:
        what = "is not words of letters, digits, '_' and '-' with single spaces between"
        raise InvalidValue(f"Invalid tag(s): '{printable(tag[:140])}' {what}")
    return tag


def check_tags(tags: Iterable[str]) -> list[str]:
    """The tags, checked and without duplicates, in the given order."""
    return list(dict.fromkeys(map(check_tag, listed(tags, "tags"))))


def listed(given: Iterable[str], what: str) -> tuple[str, ...]:
    """Several texts, as a tuple. Raises InvalidType for a single text, of which each letter would be one."""
    if isinstance(given, str):
        raise InvalidType(f"{what} must be a list or tuple, such as [{given!r}], not the text {given!r}")
    return tuple(given)


def folded(name: str) -> str:
    """A name as it is compared: names with the same folded form share a file name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@lru_cache(4096)
def file_name_of(name: str) -> str:
    """The file name for a name: case-folded, NFC and percent-encoded. Names that differ only in case share one."""
    text = low = folded(name)
    raw = text.encode()
    if raw.translate(None, _PLAIN):  # 1 µs for most names, which have only plain characters, not 1 µs a character
        text = "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in raw)
    text = re.sub(r"^\.|\.$", "%2E", text)
    if _DEVICE.match(low):  # CON or nul.txt: a device on Windows, with any extension
        text = f"%{ord(text[0]):02X}{text[1:]}"
    return text


def _encodable(name: str, what: str) -> str:
    if len(file_name_of(name)) > _LONGEST:
        raise _refused(what, name, f"longer than {_LONGEST} bytes once percent-encoded")
    return name


def _refused(what: str, name: str, rule: str) -> InvalidValue:
    return InvalidValue(f"{what} '{printable(name[:140])}' is not allowed: {rule}")


def windows_problem(name: bytes) -> str | None:
    """Why Windows can't have a file of this name, or None if it can."""
    text = name.decode("utf-8", "surrogateescape")
    if bad := set(text) & set('<>:"/\\|?*'):
        return f"it has the character {min(bad)!r}"
    if any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in text):
        return "it has a control character, or bytes that are not UTF-8"
    if text.endswith((".", " ")):
        return "it ends with a dot or space"
    if _DEVICE.match(text.split(".")[0].rstrip(" ").casefold()):
        return "it is the name of a device"
    return None


def check_component(name: bytes) -> bytes:
    """Return one name in a tree. Raises InvalidValue unless it is a file name that can't lead out of its directory."""
    if not 1 <= len(name) <= 255 or b"/" in name or b"\0" in name or name in (b".", b".."):
        raise InvalidValue(f"Invalid artifact path: '{printable(name[:300])}' is not a file name")
    if b"\\" in name and (name.startswith(b"\\") or b".." in name.split(b"\\")):
        raise InvalidValue(f"Invalid artifact path: '{printable(name)}' climbs out of its folder on some systems")
    return name


def is_protected(name: bytes) -> bool:
    """Whether no version may hold this folder.

    A foreign `.git` could run hooks, `.artifacts` pose as a repository, and `.artifacts.server` give out tokens of one.
    """
    return name.lower() in (b".git", b".artifacts", b".artifacts.server")


def check_root_component(name: bytes) -> bytes:
    """Return the first name of a path. Raises InvalidValue like `check_component`, and for a drive such as `C:`."""
    if _DRIVE.match(name):
        raise InvalidValue(f"Invalid artifact path: '{printable(name)}' begins with a drive letter")
    return check_component(name)


def parse_path(path: "str | bytes | PurePath") -> tuple[bytes, ...]:
    """The names in an entry path. No other function turns a path into names.

    Raises InvalidValue for empty and absolute paths, for paths that lead out of their folder or begin with a Windows
    drive, and for more than MAX_DEPTH names.
    """
    if not isinstance(path, (str, bytes)):
        path = path.as_posix()
    try:
        raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    except UnicodeEncodeError as error:
        raise InvalidValue(f"Invalid artifact path: '{printable(path)}' is not valid Unicode") from error
    if not raw or len(raw) > 1 << 20:
        raise InvalidValue(f"Invalid artifact path: it is {'over a megabyte long' if raw else 'empty'}")
    parts = tuple(raw.split(b"/"))
    if len(parts) > MAX_DEPTH:
        raise InvalidValue(f"Invalid artifact path: '{printable(raw[:80])}…' has more than {MAX_DEPTH} levels")
    if not parts[0]:
        raise InvalidValue(f"Invalid artifact path: '{printable(raw)}' is absolute")
    check_root_component(parts[0])
    for part in parts[1:]:
        check_component(part)
    return parts


def normal_path(path: str | os.PathLike[str]) -> str:
    """Remove `./` and double and trailing slashes from an entry path. Other faults stay, for `parse_path` to refuse."""
    text = path if isinstance(path, str) else path.as_posix() if hasattr(path, "as_posix") else os.fspath(path)
    if "./" not in text and "//" not in text and not text.endswith(("/", "/.")):
        return text
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return ("/" if text.startswith("/") else "") + "/".join(parts)


def printable(text: str | bytes) -> str:
    """Make text safe to print: control characters, bidirectional overrides and bytes that aren't UTF-8 are escaped."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
