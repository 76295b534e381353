"""What the checkpoint of a collection must be like to be believed where others write: what a fold could have made."""

from typing import Any

from artstore.domain.changes import (
    PLACE,
    Good,
    anything,
    check_change,
    dict_of,
    is_count,
    is_digest,
    is_json,
    is_record,
    is_text,
    list_of,
    named,
    or_null,
)
from artstore.domain.collection import FIELDS, VERSION, are_blobs, is_alias, is_description, is_origin, is_place, is_ttl
from artstore.domain.names import check_name, check_tag
from artstore.errors import Damage


def _pairs(first: Good, second: Good) -> Good:
    return lambda value: (
        type(value) is list
        and all(
            type(pair) is list and len(pair) == 2 and first(pair[0]) is not False and second(pair[1]) is not False
            for pair in value
        )
    )


def _is_path(value: Any) -> bool:
    return type(value) is list and len(value) == len(PLACE) and _is_place(dict(zip(PLACE, value, strict=True)))


def _is_pending(value: Any) -> bool:
    if value is None:
        return True
    if type(value) is not dict or value.get("kind") != "moved from":
        return False
    check_change(FIELDS, value)
    return True


def _are_origins(value: Any) -> bool:
    return _is_blob(value) or bool(dict_of(is_origin)(value))


_is_place = is_record(PLACE)
_is_blob = is_record({"blob": is_digest})
_VERSION = is_record(
    {**VERSION, "user": or_null(is_text), "host": or_null(is_text), "updated": is_text},
    optional={
        "source": is_place,
        "tags": list_of(named(check_tag)),
        "description": is_description,
        "metadata": is_json(dict_of(anything)),
        "blobs": are_blobs,
        "ttl": is_ttl,
        "origins": is_json(_are_origins),
        "deleted": is_text,
        "withdrawn": lambda value: value is True,
    },
)
_PART = is_record({**{key: good for key, good in FIELDS["part"].items() if key != "upsert"}, "time": is_text})
_STATE = is_record(
    {
        "path": _is_path,
        "number": is_count,
        "digest": is_digest,
        "type": lambda value: value == "" or check_name(value) is not None,
        "description": is_description,
        "tags": list_of(named(check_tag)),
        "next": is_count,
        "versions": list_of(_VERSION),
        "aliases": _pairs(is_alias, is_digest),
        "exists": lambda value: type(value) is bool,
        "redirect": or_null(_is_path),
        "metadata": is_json(dict_of(anything)),
        "blobs": are_blobs,
        "upserts": dict_of(list_of(_PART)),
        "finished": dict_of(is_digest),
        "renumbered": _pairs(is_count, is_digest),
        "pending": _is_pending,
    }
)


def check_plain(plain: Any) -> None:
    """Raises Damage for a state that no fold makes: one with malformed fields, or with aliases of versions that it does
    not have. Cost: 10 µs a version.
    """
    try:
        good = _STATE(plain) is not False
        live = {version["id"] for version in plain["versions"] if "deleted" not in version} if good else set()
        good = good and all(id in live for _, id in plain["aliases"])
    except (ValueError, TypeError) as error:
        raise Damage(f"a checkpoint holds what no log makes: {error}") from error
    if not good:
        raise Damage("a checkpoint holds what no log makes")
