"""Webhooks: sending an event to the address of a rule. A module of its own, since it loads what no other action needs."""

import hashlib
import hmac
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urljoin, urlsplit

from artstore.backends.references.http import PACED
from artstore.domain.names import printable
from artstore.domain.wording import reason_of
from artstore.operations.automation.events import Event
from artstore.store.settings import environment_value

REQUEST_TIMEOUT = 30.0
"""Seconds without an answer from a server."""
RETRY_AFTER = (1.0, 4.0, 16.0)
"""Seconds before the second, third and fourth try of a webhook, if the server fails or can't be reached."""
_MOST_READ = 4096
"""Bytes of an answer."""


def post(action: dict[str, Any], event: Event) -> str:
    """Send an event to a webhook, with retries. Returns `ok` or the error."""
    names = action.get("secret_env"), action.get("token_env")
    secret, token = map(environment_value, names)
    for name, value in zip(names, (secret, token), strict=True):
        if name and value is None:
            return f"{name} is not set in the environment"
    for name, value in zip(names, (secret, token), strict=True):
        if value is not None and not value.isprintable():
            return f"{name} holds a line break, or another character that no header can hold"
    payload = event if action.get("payload") is None else filled(action["payload"], event, token)
    body = json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "artstore", "X-Artstore-Event": event["event"]}
    if secret is not None:
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Wandb-Signature"] = signature
        headers["X-Artstore-Signature"] = f"sha256={signature}"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    follow = secret is None and token is None
    for wait in RETRY_AFTER:
        outcome, again = _try(action["url"], body, headers, follow)
        if not again:
            return outcome
        time.sleep(wait)
    return _try(action["url"], body, headers, follow)[0]


def _try(url: str, body: bytes, headers: dict[str, str], follow: bool, redirects: int = 5) -> tuple[str, bool]:
    """Send one request. Returns the outcome, and whether to try again."""
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirects, *PACED).open(request, timeout=REQUEST_TIMEOUT) as reply:
            reply.read1(_MOST_READ)
            return "ok", False
    except urllib.error.HTTPError as error:
        target = error.headers.get("Location")
        error.close()
        if error.code in (307, 308) and target and redirects:
            if not follow:
                return f"the server answered {error.code}: a request with a secret is not redirected", False
            there = urljoin(url, target)
            if urlsplit(there).scheme not in ("http", "https"):
                return f"the server redirects to {printable(there)}", False
            return _try(there, body, headers, follow, redirects - 1)
        return f"the server answered {error.code}", error.code >= 500 or error.code in (408, 429)
    except (OSError, http.client.HTTPException) as error:
        return f"{urlsplit(url).netloc.rpartition('@')[2]} can't be reached: {reason_of(error)}", True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are handled here: urllib would turn a POST into a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


_VARIABLE = re.compile(r"\$\{([A-Za-z_][\w.-]*)\}")


def filled(payload: Any, event: Event, token: str | None) -> Any:
    """Replace W&B's variables in the strings of a payload: `${artifact_collection_name}`,
    `${artifact_metadata.KEY}`, ….

    A variable that the event doesn't have becomes empty.
    """
    if isinstance(payload, dict):
        return {key: filled(value, event, token) for key, value in payload.items()}
    if isinstance(payload, list):
        return [filled(item, event, token) for item in payload]
    if not isinstance(payload, str):
        return payload
    return _VARIABLE.sub(lambda match: _told(match[1], event, token), payload)


def _told(name: str, event: Event, token: str | None) -> str:
    if name.startswith("artifact_metadata."):
        value = event.get("metadata", {}).get(name.partition(".")[2])
    elif name == "ACCESS_TOKEN":
        value = token
    else:
        value = event.get(_NAMES.get(name, name))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


_NAMES = {
    "event_type": "event", "event_author": "user", "artifact_collection_name": "collection", "project_name": "project",
    "entity_name": "entity", "artifact_version": "id", "artifact_version_string": "spec", "artifact_version_index": "version",
    "run_id": "run", "run_name": "name", "run_state": "state", "metric_name": "metric", "metric_value": "value",
}  # fmt: skip
