"""Filters: Mongo-style conditions on the fields of versions, collections and runs. Pure.

    {"metadata.accuracy": {"$gte": 0.9}, "$or": [{"tags": "best"}, {"aliases": {"$in": ["prod", "staging"]}}]}

A field that is a list matches if the condition matches one of its items, or the list itself. `metadata.a.b` looks into
nested dicts.
"""

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from operator import ge, gt, le, lt
from typing import Any

from artstore.domain.names import printable
from artstore.domain.wording import near
from artstore.errors import InvalidValue

Fields = Callable[[str], Any]
"""A function from a field's name to its value, or ABSENT if it isn't set. Raises InvalidValue for an unknown field."""
_DEEPEST = 50


_MOST_KEYS = 1000


class Asked:
    """The keys that a filter looked for, such as `metadata.acc`. It explains an empty answer."""

    def __init__(self) -> None:
        self._set: dict[str, bool] = {}
        self._others: dict[str, dict[str, None]] = {}
        self._kinds: dict[str, set[str]] = {}

    def look(self, name: str, found: Any) -> None:
        """Note the kinds of values that a name has."""
        if found is not ABSENT and found is not None:
            self._kinds.setdefault(name, set()).update(_kinds_of(found))

    def note(self, name: str, field: Any, found: Any) -> None:
        """Note what a field held under a key."""
        self._set[name] = self._set.get(name, False) or found is not ABSENT
        if found is ABSENT:
            self._add(self._others.setdefault(name.partition(".")[0], {}), "", field)

    def _add(self, keys: dict[str, None], above: str, values: Any) -> None:
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if len(keys) >= _MOST_KEYS:
                return
            keys[f"{above}{key}"] = None
            self._add(keys, f"{above}{key}.", value)

    def unset(self) -> list[tuple[str, str | None]]:
        """The keys that nothing had, each with a hint that names similar ones."""
        parts = [(name, *name.split(".", 1)) for name, is_set in self._set.items() if not is_set]
        return [(name, near(key, self._others[head], f"{head}.")) for name, head, key in parts]

    def of_other_kinds(self, condition: Mapping[str, Any]) -> list[str]:
        """A sentence for each name of a condition that holds only values that can't be compared with those asked for."""
        told = []
        for name, operands in _selecting(condition):
            kinds = self._kinds.get(name, set())
            asked = [(operand, _kind_of(_plain(operand))) for operand in operands if operand is not None]
            if kinds and asked and kinds.isdisjoint([TIMES, *(kind for _, kind in asked)]):
                operand, kind = next((one for one in asked if one[1] == "text"), asked[0])
                held = " and ".join(sorted(kinds))
                told.append(f"'{printable(name)}' holds {held}, and {printable(str(operand))!r:.80} is {_IS[kind]}")
        return told


TIMES = "times"
_IS = {
    "numbers": "a number",
    "text": "text",
    "true or false": "true or false",
    "lists": "a list",
    "objects": "an object",
}


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Time):
        return TIMES
    if isinstance(value, str):
        return "text"
    return "numbers" if isinstance(value, int | float) else "objects" if isinstance(value, Mapping) else "lists"


def _kinds_of(value: Any) -> set[str]:
    """The kinds of values with which a value can be compared: a list's are those of its items, too."""
    return {_kind_of(value), *(map(_kind_of, value) if isinstance(value, list) else ())}


def _selecting(condition: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The names of a filter that ask for values, each with the values of which one is asked for."""
    for key, wanted in condition.items():
        if key in ("$and", "$or"):
            for part in wanted:
                yield from _selecting(part)
        elif key.startswith("$"):
            continue
        elif isinstance(wanted, Mapping) and any(str(name).startswith("$") for name in wanted):
            for name, operand in wanted.items():
                if name == "$in":
                    yield key, list(operand)
                elif name in ("$eq", "$regex", "$contains", *_ORDERS):
                    yield key, [operand]
        else:
            yield key, [wanted]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()


def matches(condition: Any, fields: Fields, depth: int = 0) -> bool:
    """Whether the thing with these fields matches a condition. Raises InvalidValue if it isn't a condition."""
    if not isinstance(condition, Mapping):
        raise InvalidValue(f"a filter is a dict such as {{'name': 'data'}}, not {condition!r:.80}")
    _check_depth(depth)
    if strange := [key for key in condition if not isinstance(key, str)]:
        raise InvalidValue(f"a filter's field is text, not {strange[0]!r:.80}")
    found = [_fits(key, wanted, fields, depth) for key, wanted in condition.items()]
    return all(found)  # each part was evaluated, so a mistake in a filter is reported whatever the data


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidValue(f"a filter is nested more than {_DEEPEST} levels deep")


def _fits(key: str, wanted: Any, fields: Fields, depth: int) -> bool:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(wanted, list | tuple):
            raise InvalidValue(f"{key} takes a list of filters, not {wanted!r:.80}")
        found = [matches(part, fields, depth + 1) for part in wanted]
        return all(found) if key == "$and" else any(found) if key == "$or" else not any(found)
    if key == "$not":
        return not matches(wanted, fields, depth + 1)
    if key.startswith("$"):
        raise InvalidValue(f"'{printable(key)}' is not an operator for whole filters: use $and, $or, $nor or $not")
    return _compare(fields(key), wanted, depth)


def _compare(value: Any, wanted: Any, depth: int) -> bool:
    _check_depth(depth)
    if not (isinstance(wanted, Mapping) and any(str(key).startswith("$") for key in wanted)):
        return _one_of(value, lambda item: _equal(item, wanted))
    found = [_operator(str(name), operand, value, depth) for name, operand in wanted.items()]
    return all(found)


def _operator(name: str, operand: Any, value: Any, depth: int) -> bool:
    if name == "$not":
        return not _compare(value, operand, depth + 1)
    if name == "$exists":
        return (value is not ABSENT) == bool(operand)
    if name in ("$eq", "$ne"):
        return _one_of(value, lambda item: _equal(item, operand)) == (name == "$eq")
    if name in ("$in", "$nin"):
        if not isinstance(operand, list | tuple | set | frozenset):
            raise InvalidValue(f"{name} takes a list, not {operand!r:.80}")
        return _one_of(value, lambda item: any(_equal(item, other) for other in operand)) == (name == "$in")
    if name == "$all":
        if not isinstance(operand, list | tuple | set | frozenset):
            raise InvalidValue(f"{name} takes a list, not {operand!r:.80}")
        return all(_operator("$eq", other, value, depth) for other in operand)
    if name in ("$regex", "$contains"):
        if not isinstance(operand, str):
            raise InvalidValue(f"{name} takes text, not {operand!r:.80}")
        pattern = _pattern(operand if name == "$regex" else re.escape(operand))
        return _one_of(value, lambda item: isinstance(item, str) and pattern.search(item) is not None)
    if name in _ORDERS:
        return _one_of(value, lambda item: _ordered(name, item, operand))
    hint = near(name, ("$not", "$exists", "$eq", "$ne", "$in", "$nin", "$all", "$regex", "$contains", *_ORDERS))
    raise InvalidValue(f"'{printable(name)}' is not an operator of filters", hint=hint)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidValue(f"'{printable(text)}' is not a regular expression: {printable(str(error))}") from None


def _one_of(value: Any, fits: Callable[[Any], bool]) -> bool:
    return fits(value) or (isinstance(value, list) and any(map(fits, value)))


def _equal(value: Any, wanted: Any) -> bool:
    """Whether a value equals the wanted one. 1 equals neither True nor "1"; a missing field equals None."""
    if value is ABSENT:
        return wanted is None
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    if isinstance(value, Time) and wanted is not None:
        return value.startswith(_moment(wanted))
    return bool(value == _plain(wanted))


def _plain(operand: Any) -> Any:
    """A date as ISO 8601 text, as metadata holds it; any other value as it is."""
    return operand.isoformat() if isinstance(operand, datetime.date) else operand


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


class Time(str):
    """A time in ISO 8601, UTC. It is compared as precisely as the other side is given: a day means all of that day."""


class Count(int):
    """A field that is always a number, so that comparing it with text is a mistake."""


def _moment(operand: Any) -> str:
    """A date or time as ISO 8601 in UTC. Accepts `2026-11-22 10:00`, with or without an offset. Raises InvalidValue."""
    if isinstance(operand, datetime.datetime):
        operand = operand.isoformat()
    elif isinstance(operand, datetime.date):
        return operand.isoformat()
    if type(operand) is int:
        operand = f"{operand:04}"  # a year
    text = operand.strip() if isinstance(operand, str) else ""
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", text):
        return text
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # the latter: before the year 1 or after 9999 in UTC
        hint = "2026-11-22 is one, and 2026-11-22T10:00"
        raise InvalidValue(f"{operand!r:.80} is not a date or time", hint=hint) from None
    seconds = len(text) > 16 or moment.second
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds" if seconds else "minutes")


def _ordered(name: str, value: Any, operand: Any) -> bool:
    """Compare numbers with numbers and text with text. Any other value in the data doesn't match."""
    if isinstance(value, Time):
        moment = _moment(operand)
        return _ORDERS[name](value.removesuffix("Z")[: len(moment)], moment)
    operand = _plain(operand)
    if not isinstance(operand, str | int | float) or isinstance(operand, bool):
        raise InvalidValue(f"{name} compares with a number or text, not {operand!r:.80}")
    if isinstance(value, Count) and isinstance(operand, str):
        raise InvalidValue(f"'{printable(operand)}' is not a number to compare with")
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, operand))
    texts = isinstance(value, str) and isinstance(operand, str)
    return (numbers or texts) and _ORDERS[name](value, operand)


def nested(value: Any, path: str) -> Any:
    """The value in nested dicts under a path `a.b.c`, or ABSENT. Keys may contain dots; the longest match is used."""
    if not path:
        return value
    if not isinstance(value, Mapping):
        return ABSENT
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if (key := ".".join(parts[:end])) in value:
            found = nested(value[key], ".".join(parts[end:]))
            if found is not ABSENT:
                return found
    return ABSENT


def fields_of(
    values: Mapping[str, Any],
    dicts: tuple[str, ...] = (),
    also: Mapping[str, str] | None = None,
    asked: Asked | None = None,
) -> Fields:
    """The fields of a mapping, for `matches`. A value may be a function, which is called when the field is needed.

    Paths into a field are allowed for the fields in `dicts`. `also` maps other names to fields' names. `asked` notes
    which paths were looked for.
    """

    def ask(name: str) -> Any:
        head, _, rest = name.partition(".")
        head = (also or {}).get(head, head)
        if head not in values or (rest and head not in dicts):
            known = ", ".join(f"{key}.KEY" if key in dicts else key for key in values)
            hint = near(head, [*values, *(also or ())]) or f"there are {known}"
            raise InvalidValue(f"there is no field '{printable(name)}' to filter by", hint=hint)
        value = values[head]
        value = value() if callable(value) else value
        found = nested(value, rest) if rest else ABSENT if value is None else value
        if asked is not None:
            asked.look(name, found)
            if rest:
                asked.note(name, value, found)
        return found

    return ask


# -- as text -------------------------------------------------------------------------------------

_WHERE = re.compile(r"(?s)\s*([^=!<>~]+?)\s*(==|!=|>=|<=|=~|=|>|<|~)\s*(.*)")
_SHORT = {
    "=": "$eq", "==": "$eq", "!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte", "~": "$regex",
    "=~": "$regex",
}  # fmt: skip
_MISSPELT = {"=>": ">=", "=<": "<=", "=!": "!=", "<>": "!=", "><": "!=", "~=": "=~", "===": "=", "!==": "!="}


def _hint_for(text: str) -> str:
    """The hint for a text that isn't a condition.

    If only a field's name is left, the shell has read `<` or `>` and the value as a redirection.
    """
    forms = "KEY=VALUE, KEY!=V, KEY>V, KEY>=V, KEY<V, KEY<=V, KEY~REGEX, or JSON"
    if re.fullmatch(r"[\w.]+", text):
        return f"quote it, or the shell reads < and > itself: '{text}>=VALUE'; a condition is {forms}"
    return f"a condition is {forms}"


def parsed(texts: tuple[str, ...]) -> dict[str, Any]:
    """One filter from several texts, all of which must match.

    A text is a condition such as `metadata.accuracy>=0.9` or `name~^data`, or a filter as JSON. A value is JSON if it
    can be parsed as JSON, else text.
    """
    parts = []
    for text in texts:
        if text.lstrip().startswith("{"):
            try:
                parts.append(json.loads(text))
            except (ValueError, RecursionError) as error:
                raise InvalidValue(f"'{printable(text)[:80]}' is not JSON: {error}") from None
            continue
        match = _WHERE.fullmatch(text)
        if match is None:
            raise InvalidValue(f"'{printable(text)}' is not a condition", hint=_hint_for(text))
        key, sign, value = match.groups()
        _check_sign(key, sign, value)
        parts.append({key: _short(_SHORT[sign], value)})
    return {"$and": parts} if parts else {}


def _check_sign(key: str, sign: str, value: str) -> None:
    """Refuse a misspelt sign, such as `=>`, and an order without a value. Raises InvalidValue."""
    more = re.match("=+" if _SHORT[sign] == "$regex" else "[=!<>~]+", value)
    text = printable(f"{key}{sign}{value}")
    if more is not None:
        meant = _MISSPELT.get(sign + more[0])
        rest = value[more.end() :].lstrip() or "VALUE"
        hint = f"did you mean '{printable(key + meant + rest)}'? " if meant else ""
        hint += f"A value that begins with a sign is written as JSON: '{printable(key)}=\"<b>\"'"
        raise InvalidValue(f"'{printable(sign + more[0])}' in '{text}' is not a sign of conditions", hint=hint)
    if not value and _SHORT[sign] in _ORDERS:
        raise InvalidValue(f"'{text}' has no value to compare with", hint=_hint_for(key))


def pattern_hint(texts: tuple[str, ...]) -> str | None:
    """The pattern that is meant by the first equality with a `*` in it; None if there is none."""
    for text in texts:
        match = _WHERE.fullmatch(text)
        if match is not None and _SHORT[match[2]] == "$eq" and "*" in match[3] and not text.lstrip().startswith("{"):
            pattern = ".*".join(map(re.escape, match[3].split("*")))
            return f"= compares the whole text; a pattern is '{printable(match[1])}~^{printable(pattern)}$'"
    return None


def _short(operator: str, text: str) -> dict[str, Any]:
    """The condition for one operator and value. For equality also the text itself matches, such as a tag `2024`."""
    value = _value(text)
    if operator == "$regex":
        return {operator: text}
    if operator in ("$eq", "$ne") and not isinstance(value, str):
        return {"$in" if operator == "$eq" else "$nin": [value, text]}
    return {operator: value}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
