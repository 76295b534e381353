"""What the errors of a bucket's service mean: the reason in a few words, and the way out."""

import re
from typing import NamedTuple

from obstore import exceptions

from artstore.backends.bucket.opening import SETTINGS, has_credentials
from artstore.domain.names import printable
from artstore.errors import NoSpace, StorageError

_FINAL = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, exceptions.InvalidPathError)
"""Errors for which a second try is useless."""
_PASSING = (408, 409, 412, 429)
"""Statuses of refusals that may pass."""


def is_final(error: StorageError) -> bool:
    """Whether a second try is useless, because the server understood the request and refused it."""
    cause = error.__cause__
    status = status_of(cause)
    refused = status is not None and 400 <= status < 500 and status not in _PASSING
    return refused or isinstance(cause, _FINAL) or (cause is not None and _cause_of(cause) is not None)


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a server's answer, or None. obstore has it only in the error's text."""
    found = re.search(r"status: (\d{3})\b", str(error))
    return int(found[1]) if found else None


def odd_key(error: BaseException) -> str | None:
    """The key because of which obstore refused a whole listing; None if the error is another one."""
    if not isinstance(error, exceptions.InvalidPathError):
        return None
    found = re.search(r'Path "((?:[^"\\]|\\.)*)"', str(error))
    return found[1] if found else None


def meaning(error: Exception, root: str, action: str, at: str) -> StorageError:
    """The error to raise for an error of obstore's that met an action at a place; `at` names the service."""
    status, cause = status_of(error), _cause_of(error)
    if status in (401, 403) or isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        reason, hint = cause or (_reason(error), _login(root))
        return StorageError(f"{root} refused to let us {action}: {reason}", hint=hint)
    if cause:
        return StorageError(f"cannot {action} at {root}{at}: {cause.reason}", hint=cause.hint)
    if status == 404:
        return StorageError(f"cannot {action} at {root}: there is no such bucket", hint=_MAKE)
    if status == 507 or "QuotaExceeded" in str(error):
        return NoSpace(f"cannot {action} at {root}: no space left there", hint=_FREE)
    if (key := odd_key(error)) is not None:
        return StorageError(
            f"cannot {action} at {root}: it has the key '{printable(key)}', which has {ODD}", hint=_RENAME
        )
    may_pass = status is None or status >= 500 or status in _PASSING
    hint = _AGAIN if may_pass else _LOG_IN_OR_REGION
    return StorageError(f"cannot {action} at {root}{at}: {_reason(error)}", hint=hint)


def _login(root: str) -> str:
    scheme = root.partition("://")[0]
    return _LOG_IN if has_credentials(scheme) else f"no credentials are set here: {SETTINGS.get(scheme)}"


ODD = "an empty part, '.', '..' or a control character"
_RENAME = "rename or remove that object there: a listing can't be read beside it"
_LOG_IN = "check the credentials (or log in again) and run the same command again"
_LOG_IN_OR_REGION = "check the credentials (or log in again), the region and the endpoint"
_MAKE = "make the bucket first, or mend the URL"
_FREE = "free some space there and run the same command again: nothing was lost"
_AGAIN = "check the network and run the same command again: what arrived is not sent again"


class _Cause(NamedTuple):
    """What an error code of a service means."""

    reason: str
    hint: str


_EXPIRED = _Cause("the credentials have expired", "log in again and run the same command again")
_REGION = _Cause(
    "the bucket is in another region", "AWS_REGION, or `?region=NAME` after a remote's URL, names its region"
)
_NO_CONDITIONS = _Cause(
    "the service lacks what was asked for (501)",
    "a remote needs conditional writes (If-None-Match: *): use a service that has them, or a folder",
)
_CAUSES = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _Cause("the session token is not known there", "log in again, or unset AWS_SESSION_TOKEN"),
    "InvalidAccessKeyId": _Cause("the access key is not known there", "check AWS_ACCESS_KEY_ID and the endpoint"),
    "SignatureDoesNotMatch": _Cause("the secret key does not belong to the access key", "check AWS_SECRET_ACCESS_KEY"),
    "RequestTimeTooSkewed": _Cause("this machine's clock is wrong, or the server's", "set this machine's clock"),
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "NotImplemented": _NO_CONDITIONS,
    "InvalidBucketName": _Cause("that can't be a bucket's name", "mend the URL"),
    "InvalidObjectState": _Cause("the object is in an archive", "restore it from the archive first"),
}
"""By the codes of S3, which compatible services use too."""


def _cause_of(error: BaseException) -> _Cause | None:
    text = str(error)
    if (code := re.search(r"<Code>(\w+)</Code>", text)) and code[1] in _CAUSES:
        return _CAUSES[code[1]]
    if "redirect without LOCATION" in text:  # obstore's words for a 301
        return _REGION
    return _NO_CONDITIONS if status_of(error) == 501 else None


_KINDS = {
    "Timeout": "it did not answer in time",
    "Connect": "it can't be reached",
    "Interrupted": "the connection was cut",
}


def _reason(error: Exception) -> str:
    """What went wrong, in a few words, without the URLs and replies that obstore puts into its errors."""
    text = str(error)
    if (status := status_of(error)) is not None:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return f"it answered {status}" + (f" ({code[1]})" if code else "")
    if kind := re.search(r"kind: (\w+)", text):
        return _KINDS.get(kind[1], "the connection failed")
    return printable(text.split("\n")[0][:200])
