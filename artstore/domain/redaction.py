"""Finding and hiding secrets, by the names that people give them, by their form and by their place in a URL. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "***"

_NAME = re.compile(
    r"(^|.*[^a-z])(token|secret|password|passwd|passphrase|pass|pwd|credentials?|api.?key|(access|secret|private|auth|account)"
    r".?key(.?id)?|awsaccesskeyid)$",
    re.IGNORECASE | re.DOTALL,
)
_NO_SECRET = re.compile(
    r"(pad|eos|bos|unk|mask|sep|cls|special|image|start|end|stop|first|last|new)[-_.]?token$"
    r"|(one|two|three|single|multi|first|second|last|each|per|num|n|max|min|low|high|band|all|by|forward|backward|no|dry)"
    r"[-_.]?pass$",
    re.IGNORECASE,
)
"""Names of a vocabulary's tokens, of passes over data and of filters, which aren't secrets."""
_IN_URL = re.compile(
    r"key|((.*[^a-z])?(auth|authorization|jwt|bearer|ticket|assertion|saml(art|request|response)?|t?otp|pin|creds?|cookies?"
    r"|[cx]srf|nonce|sas|sk)|.*sess(ion)?_?-?(id)?|st|sid|hdne?a|hdnts|hdntl|hmac|policy|[a-z]*token|oauth.*"
    r"|(.*[^a-z])?subscription.?key|rlkey|resource.?key)",
    re.IGNORECASE | re.DOTALL,
)
"""More names that mean a secret in a URL, such as those of content networks (`hdnea`) and of servers' sessions."""
_FORMS = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=%25[0-9A-Fa-f]{2}))"
    r"(?:(eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*|(gh[a-z]_|npm_)[A-Za-z0-9]{30,}|(github_pat_)\w{20,}"
    r"|(hf_)[A-Za-z0-9]{30,}|(glpat-)[\w-]{20,}|(A[KS]IA)[A-Z0-9]{16}(?![A-Za-z0-9])|(AIza)[\w-]{35}|(ya29\.)[\w-]{20,}"
    r"|(xox[a-z]-)[\w-]{10,}|([rs]k_live_)[A-Za-z0-9]{16,}|(sk-)(?:[a-z0-9]{1,9}-){0,2}(?=[A-Za-z_]{0,200}[0-9])\w{20,}[\w-]*)"
    r"|(hooks\.slack\.com/(?:services|workflows|triggers)/)[^?&;#\s]+|(/api/webhooks/\d{1,30}/)[\w-]+"
    r"|(art_)[0-9a-f]{8}_[\w-]{20,}"
    r"|(/bot)\d{1,30}:[\w-]+|([?&;#]code=)[^?&;#\s.]{16,}|((?:[Bb]earer|Basic) )(?=[^\s0-9]{0,200}[0-9])[\w.~+/-]{16,}=*"
)
"""Secrets that are known by their form, each with the part that may be shown.

They are JSON web tokens, keys and tokens of GitHub, npm, Hugging Face, GitLab, Amazon, Google, Slack, Stripe, OpenAI
and served repositories, addresses of webhooks and bots, codes of logins, and what follows `Bearer` in a header.
"""
_SIGNATURE = re.compile(r"(.*[^a-z])?(sig|signature)$", re.IGNORECASE)
_ASSIGNED = re.compile(r"([^=\s]{1,200})=(.*)", re.DOTALL)
_HEADER = re.compile(r"([\w-]{1,200}):\s*(.*)", re.DOTALL)
_HEADERS = ("authorization", "proxy-authorization", "cookie")
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^/\s?#]*)@")
_QUERY = re.compile(r"([?&;#])([^=&;\s#?/]+)=([^&;\s#?]+)")
_NAMED = re.compile(r"[?&;#]([^=&;\s#?/]+)=")
_DEEPEST = 3
"""How often a URL in a URL in a URL is percent-encoded, at most, to be looked at."""


def is_secret(name: str) -> bool:
    """Whether the value with this name (of an option, a variable or a query's parameter) is a secret."""
    name = name.lstrip("-+")
    return _NAME.fullmatch(name) is not None and _NO_SECRET.search(name) is None


def secret_in_query(uri: str) -> str | None:
    """The name of the first parameter in a URI's query that is a secret, or a signature made with one; else None."""
    names = (name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    return next(filter(_gives_away, names), None)


def secret_in_uri(uri: str) -> str | None:
    """The name of the first secret anywhere in a URI, or how its value begins; else None.

    It may be in the query, in a path's parameters, in the fragment, or in a URI that is part of any of these. What has
    the form of a secret may be in the path, too.
    """
    for _ in range(_DEEPEST):
        if any("@" in found[0] for found in _USER.finditer(uri)):
            return "USER@"
        for name in _NAMED.findall(uri):
            if _gives_away(name) or _IN_URL.fullmatch(name):
                return str(name)
        if found := _FORMS.search(uri):
            return f"{_shown_part(found).strip('/?&;#')}…"
        uri, before = unquote(uri), uri
        if uri == before:
            break
    return None


def _gives_away(name: str) -> bool:
    return is_secret(name) or _SIGNATURE.fullmatch(name) is not None


def _shown_part(form: re.Match[str]) -> str:
    return str(next(filter(None, form.groups())))


def passwords_in(text: str) -> list[str]:
    """The passwords in a text's URLs, such as `postgres://user:PASSWORD@host`, but for those that are the user's name."""
    found = [match[2].partition(":") for match in _USER.finditer(text)]
    return [unquote(password) for user, _, password in found if password != user]


def redacted(text: str) -> str:
    """Hide what has the form of a secret, and the secrets in a text's URLs: before an `@`, and in queries."""
    text = _USER.sub(lambda found: f"{found[1]}{_user(found[2])}@", text)
    in_url = "://" in text

    def hidden(found: re.Match[str]) -> str:
        secret = _gives_away(found[2]) or (in_url and _IN_URL.fullmatch(found[2]))
        return f"{found[1]}{found[2]}={HIDDEN}" if secret else found[0]

    return _FORMS.sub(lambda found: f"{_shown_part(found)}{HIDDEN}", _QUERY.sub(hidden, text))


def _user(text: str) -> str:
    """Hide a password after a colon, or a single long word, which is a token. A user such as `git@` isn't a secret."""
    name, colon, _ = text.partition(":")
    return f"{name}:{HIDDEN}" if colon else HIDDEN if len(name) > 20 else name


def redacted_arguments(arguments: Iterable[str]) -> list[str]:
    """Hide the secrets in a command's arguments: in values of options, in assignments, in headers and in URLs."""
    found, hide = list[str](), False
    for argument in arguments:
        if hide and not argument.startswith("--"):
            found.append(HIDDEN)
            hide = False
            continue
        assigned = _ASSIGNED.fullmatch(argument)
        header = _HEADER.fullmatch(argument)
        if assigned and is_secret(assigned[1]):
            found.append(f"{assigned[1]}={HIDDEN}")
        elif header and (is_secret(header[1]) or header[1].lower() in _HEADERS):
            found.append(f"{header[1]}: {HIDDEN}")
        else:
            found.append(redacted(argument))
        hide = argument.startswith("-") and assigned is None and is_secret(argument)
    return found


_HINTS = (
    "://", "?", "&", "#", "eyJ", "gh", "npm_", "hf_", "art_", "glpat-", "AKIA", "ASIA", "AIza", "ya29.", "xox", "k_live_", "sk-",
    "hooks.slack.com", "webhooks/", "/bot", ";", "earer ", "Basic ",
)  # fmt: skip
"""Texts of which each one that `redacted` changes has one: looking for them takes a tenth of its time."""


class Mask:
    """Hides known secrets, such as those of the environment, and what has the form of one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Hide these texts wherever they are. Long ones come before those that are part of them."""
        self._known = re.compile("|".join(map(re.escape, secrets)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        text = self._known.sub(HIDDEN, text)
        return redacted(text) if any(hint in text for hint in _HINTS) else text
