"""Finding and hiding secrets, by the names that people give them and by their place in a URL. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

HIDDEN = "***"

_NAME = re.compile(
    r"(^|.*[^a-z])(token|secret|password|passwd|passphrase|pwd|credentials?|api.?key|(access|secret|private|auth|account)"
    r".?key(.?id)?|awsaccesskeyid)$",
    re.IGNORECASE | re.DOTALL,
)
_NO_SECRET = re.compile(r"(pad|eos|bos|unk|mask|sep|cls|special|image|start|end|stop|first|last|new)[-_.]?token$", re.I)
"""Names of a vocabulary's tokens, which aren't secrets."""
_SIGNATURE = re.compile(r"(.*[^a-z])?(sig|signature)$", re.IGNORECASE)
_ASSIGNED = re.compile(r"([^=\s]{1,200})=(.*)", re.DOTALL)
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/\s?#]*)@")
_QUERY = re.compile(r"([?&])([^=&\s#]+)=([^&\s#]+)")


def is_secret(name: str) -> bool:
    """Whether the value with this name (of an option, a variable or a query's parameter) is a secret."""
    name = name.lstrip("-+")
    return _NAME.fullmatch(name) is not None and _NO_SECRET.search(name) is None


def secret_in_query(uri: str) -> str | None:
    """The name of the first parameter in a URI's query that is a secret, or a signature made with one; else None."""
    names = (name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    return next(filter(_gives_away, names), None)


def _gives_away(name: str) -> bool:
    return is_secret(name) or _SIGNATURE.fullmatch(name) is not None


def redacted(text: str) -> str:
    """Hide the secrets in a text's URLs: passwords and tokens before an `@`, tokens and signatures in queries."""
    text = _USER.sub(lambda found: f"{found[1]}{_user(found[2])}@", text)
    return _QUERY.sub(lambda found: f"{found[1]}{found[2]}={HIDDEN}" if _gives_away(found[2]) else found[0], text)


def _user(text: str) -> str:
    """Hide a password after a colon, or a single long word, which is a token. A user such as `git@` isn't a secret."""
    name, colon, _ = text.partition(":")
    return f"{name}:{HIDDEN}" if colon else HIDDEN if len(name) > 20 else name


def redacted_arguments(arguments: Iterable[str]) -> list[str]:
    """Hide the secrets in a command's arguments: in values of options, in assignments and in URLs."""
    found, hide = list[str](), False
    for argument in arguments:
        if hide and not argument.startswith("--"):
            found.append(HIDDEN)
            hide = False
            continue
        assigned = _ASSIGNED.fullmatch(argument)
        if assigned and is_secret(assigned[1]):
            found.append(f"{assigned[1]}={HIDDEN}")
        else:
            found.append(redacted(argument))
        hide = argument.startswith("-") and assigned is None and is_secret(argument)
    return found
