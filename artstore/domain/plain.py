"""Other tools' files as plain values: YAML and INI, with bounds that are checked before a value is made."""

import configparser
from collections.abc import Iterable
from typing import Any

from artstore.errors import Damage

LONGEST = 16 << 20
"""The most bytes that are read of a small file of another tool."""
_DEEPEST = 100
_MOST_VALUES = 1_000_000
"""How many values a YAML file may have, each alias counted as all that it stands for."""
_LONGEST_WORD = 4096
"""Characters of a word without quotes in a YAML file: a number takes quadratic time, such as `1:1:1:…` to the base 60."""
_LONGEST_LINE = 4096
_LONGEST_SETTINGS = 64 << 10
"""Characters of a line, and bytes of all lines, in an INI file: the parser's patterns take quadratic time in a line."""


def loaded(data: bytes, what: str) -> Any:
    """A YAML file as plain values. Nothing in it is executed. Raises Damage if it isn't YAML, too long or too deep."""
    import yaml

    if len(data) > LONGEST:
        raise Damage(f"{what} has more than {LONGEST >> 20} MiB")
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        _check(yaml.parse(data, Loader=loader), what)  # its events, which nest nothing
        return yaml.load(data, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Damage(f"{what} is not readable as YAML: {error}") from error


def _check(events: Iterable[Any], what: str) -> None:
    """Raises Damage if values nest too deep, or if aliases unfold to too many."""
    import yaml

    sizes: dict[str, int] = {}
    """values below each anchor"""
    open_: list[tuple[str | None, int]] = []
    """the anchor of each list and mapping that is open, and how many values came before it"""
    values = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            # An anchor that is still open stands for itself without end.
            values += sizes.get(event.anchor, _MOST_VALUES + 1)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
            if event.implicit[0] and len(event.value) > _LONGEST_WORD and " " not in event.value:
                raise Damage(f"{what} has a word of more than {_LONGEST_WORD:,} characters")
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, values))
            sizes.pop(event.anchor, None)
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = values - before
        if values > _MOST_VALUES or len(open_) > _DEEPEST:
            raise Damage(f"{what} has more than {_MOST_VALUES:,} values, or more than {_DEEPEST} in one another")


def settings_of(data: bytes, what: str) -> configparser.ConfigParser:
    """An INI file. Raises Damage if it isn't one, or if a line is too long."""
    if len(data) > _LONGEST_SETTINGS:
        raise Damage(f"{what} has more than {_LONGEST_SETTINGS >> 10} KiB")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        text = data.decode()
        if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
            raise Damage(f"{what} has a line of more than {_LONGEST_LINE:,} characters")
        parser.read_string(text)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Damage(f"{what} is not readable: {error}") from error
    return parser
