"""Fields of changes in logs: the table of a log's kinds, and what a value must be like to stand in one."""

from collections.abc import Callable
from typing import Any

from artstore.domain.codec import decode_json
from artstore.domain.digest import is_hex
from artstore.domain.names import check_name, check_project
from artstore.store.logs import Change, is_text

Good = Callable[[Any], object]
"""False for a value that must not stand there; a check that raises ValueError says why."""
Table = dict[str, dict[str, Good]]


def check_change(table: Table, change: Change) -> None:
    """Raises ValueError (InvalidValue is one) unless the change has exactly the fields of its kind, each as it should be;
    one that came from another log also says `by` whom and when it was made.
    """
    fields = table[change["kind"]]
    if len(change) - ("by" in change) != len(fields) + 2 or not ("change" in change and fields.keys() <= change.keys()):
        raise ValueError("it does not have the fields of its kind")
    if "by" in change and not _is_origin(change["by"]):
        raise ValueError("it does not say by whom it was made")
    for field, good in fields.items():
        if good(change[field]) is False:
            raise ValueError(f"its {field} is malformed")


def _is_origin(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"host", "time", "user"}
        and is_text(value["time"])
        and all(value[key] is None or is_text(value[key]) for key in ("host", "user"))
    )


def is_digest(value: Any) -> bool:
    return type(value) is str and is_hex(value)


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def or_null(good: Good) -> Good:
    return lambda value: value is None or good(value)


def list_of(good: Good) -> Good:
    return lambda value: type(value) is list and all(good(item) is not False for item in value)


def dict_of(good: Good) -> Good:
    return lambda value: type(value) is dict and all(good(item) is not False for item in value.values())


def is_record(fields: dict[str, Good], optional: dict[str, Good] | None = None) -> Callable[[Any], bool]:
    """A dict with these fields, and maybe some of the `optional` ones, each as it should be."""
    goods = {**fields, **(optional or {})}
    return lambda value: (
        type(value) is dict
        and fields.keys() <= value.keys() <= goods.keys()
        and all(goods[field](item) is not False for field, item in value.items())
    )


def is_json(good: Good) -> Good:
    """Canonical JSON of such a value."""
    return lambda value: type(value) is bytes and good(decode_json(value, "a value"))


def anything(value: Any) -> bool:
    return True


def one_of(*values: object) -> Good:
    return lambda value: value in values


def named(check: Callable[[str], object]) -> Good:
    """A name that passes the rules that held when it was given."""
    return lambda value: type(value) is str and check(value) is not None


PLACE: dict[str, Good] = {"entity": named(check_project), "project": named(check_project), "name": named(check_name)}
