"""Answers of a served remote: what they hold is checked, and errors become ours."""

import http.client
import json
from typing import Any

from artstore import errors
from artstore.backends.addresses import spelled
from artstore.domain.names import printable
from artstore.errors import ArtstoreError, Damage

LONGEST_JSON = (16 << 20) + (64 << 10)
"""Most bytes of an answer that is read whole: a log entry of the largest size."""
_LONGEST_TEXT = 2000
_KINDS = (
    "AuthenticationError", "Conflict", "Damage", "DamagedLog", "DamagedObject", "InvalidValue", "MissingObject", "NoSpace",
    "NotFound", "Refused", "StorageError", "UnsupportedFormat",
)  # fmt: skip
"""The classes of errors that a server may name."""
_OF_STATUS = {
    400: "InvalidValue", 401: "AuthenticationError", 403: "Refused", 404: "NotFound", 409: "Conflict",
    413: "InvalidValue", 422: "Damage",
}  # fmt: skip


class Foreign(errors.NotFound):
    """An answer that isn't from `artstore serve`, but from something in front of it, or from another server."""


def error_of(status: int, value: dict[str, Any] | None, what: str) -> ArtstoreError:
    """The error of an answer: one of ours, by the kind that it names, or else by its status.

    Its sentence is the server's. An answer without one is not from `artstore serve`.
    """
    if not value or not isinstance(value.get("error"), str):
        if 400 <= status < 500:
            return Foreign(
                f"there is no served repository at {what}: it answers with status {status}", hint=spelled(what)
            )
        return errors.StorageError(f"{what} answered with status {status}", hint="run the same command again later")
    kind = value.get("kind")
    named = kind if isinstance(kind, str) and kind in _KINDS else _OF_STATUS.get(status, "StorageError")
    found: type[ArtstoreError] = getattr(errors, named)
    sentence, hint = (shown(text) if isinstance(text := value.get(key), str) else None for key in ("error", "hint"))
    return found(sentence or f"{what} answered with status {status}", hint=hint or None)


def shown(sentence: str) -> str:
    """A sentence of a server as it may be shown: one line, and not a long one."""
    return printable(sentence[:_LONGEST_TEXT])


def is_json(answer: http.client.HTTPResponse) -> bool:
    """Whether an answer says that it is JSON."""
    return answer.headers.get_content_type() == "application/json"


def plain_json(data: bytes, what: str) -> Any:
    """Parse JSON. Raises Damage."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damage(f"{what} sent something else than JSON") from error
