"""Wording for users: commands that can be pasted into a shell, similar names, sizes, counts and times."""

import time
import unicodedata
from collections.abc import Iterable, Sequence

from artstore.domain.names import printable


def typed(command: str, *arguments: str, **options: str) -> str:
    """An artstore command in backquotes, quoted for a shell. With `--` if an argument could be read as an option.

    Options that are words of Python get a `_` behind them: `from_`.
    """
    given = [word for name, value in options.items() for word in (f"--{name.removesuffix('_')}", quoted(value))]
    dashes = ["--"] if any(argument.startswith("-") for argument in arguments) else []
    return f"`artstore {' '.join([command, *given, *dashes, *map(quoted, arguments)])}`"


def quoted(argument: str) -> str:
    """A shell's spelling of an argument. What can't be printed is escaped, as bash and zsh read it: `$'a\\x1b'`."""
    import shlex  # 2 ms, needed only when something was not found

    if argument.isprintable():
        return shlex.quote(argument)
    return "$'" + "".join(_in_quotes(character) for character in argument) + "'"


def _in_quotes(character: str) -> str:
    if character.isprintable():
        return f"\\{character}" if character in "'\\" else character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        number -= 0xDC00
    elif number >= 0x80:
        return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return f"\\x{number:02x}"


def near(name: str, others: Iterable[str], before: str = "", after: str = "") -> str | None:
    """A hint with up to three names similar to `name`, each between `before` and `after`; None if there is none."""
    import difflib  # 4 ms, needed only when something was not found

    others = list(others)
    if forms := [other for other in others if nfc(other) == nfc(name) and other != name]:
        return f"did you mean {f'{before}{forms[0]}{after}'!a}? It has the same letters in another Unicode form"
    close = [other for other in others if other.casefold() == name.casefold()]
    close = close or difflib.get_close_matches(name, others, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(f'{before}{c}{after}') for c in close)}?" if close else None


def nfc(text: str) -> str:
    """The composed form of a text. Texts that look the same may differ in their form."""
    return unicodedata.normalize("NFC", text)


def human(size: int) -> str:
    """Bytes in powers of 1,024."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, 5)
    return f"{size / 1024**power:.1f} {'KMGTP'[power - 1]}iB"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def first_of(texts: Sequence[str], most: int = 10) -> str:
    """The first of some texts, and how many there are beyond: `a, b and 3 more`."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def moment(nanoseconds: int) -> str:
    """A time in nanoseconds since 1970 as ISO 8601, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 1_000_000_000))


def width_of(text: str) -> int:
    """A text's width on a terminal, in columns: two for wide East Asian characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int) -> str:
    """A text cut to a width on a terminal, with `…` instead of what is left out."""
    if width_of(text) <= width:
        return text
    text = text[: max(0, 2 * width)]  # so that the loop doesn't shorten a long text one character at a time
    while text and width_of(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def reason_of(error: Exception) -> str:
    """Why a command or a request failed, in the system's words, and for which file."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, OSError) and isinstance(reason.filename, str):
        return f"{printable(reason.filename)}: {reason.strerror}".lower()
    return printable(str(getattr(reason, "strerror", None) or reason)).lower()
