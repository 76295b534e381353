"""The worker: a process that carries out actions of automations, and notes their outcomes. No other process waits
for it.
"""

import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin, urlsplit

from artstore.backends.credentials import TOKEN
from artstore.backends.files import closing_fd
from artstore.backends.homes import state_folder
from artstore.backends.references.http import PACED
from artstore.domain.names import printable
from artstore.operations.automation.events import Event
from artstore.operations.automation.rules import COMMAND, NOTHING, Rule
from artstore.store.settings import DEPTH, environment_value

COMMAND_TIMEOUT = 3600.0
"""Seconds. A command that runs longer is killed."""
REQUEST_TIMEOUT = 30.0
"""Seconds without an answer from a server."""
RETRY_AFTER = (1.0, 4.0, 16.0)
"""Seconds before the second, third and fourth try of a webhook, if the server fails or can't be reached."""
_TOGETHER = 16
_LONGEST_VARIABLE = 8192
"""Bytes. A longer field of an event isn't put into a variable: Linux allows 128 KiB for one, and a limit for
all together.
"""
_TAIL = 4096
"""Bytes at the end of a command's output that are noted."""
_LOG_MOST = 1 << 20
"""Bytes. A longer log is renamed, and a new one begun; one old log is kept."""


def main() -> None:
    """Carry out the jobs on standard input, all at once: so no job waits for another one that hangs."""
    _let_go()
    work = json.load(sys.stdin.buffer)
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for rule, event in work["jobs"]:
            pool.submit(perform, rule, event, work["root"], work["depth"])


def _let_go() -> None:
    """Close inherited descriptors: another process may wait for the end of a pipe, or for a lock."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass  # the descriptor with which the folder was listed


def perform(rule: Rule, event: Event, root: str, depth: int) -> tuple[str, str]:
    """Carry out the action of a rule, and note the outcome. Returns `ok` or the error, and the end of the output."""
    started, action = time.monotonic(), rule["action"]
    try:
        outcome, output = "ok", ""
        if action["kind"] == COMMAND:
            outcome, output = _run(action["argv"], event, root, depth)
        elif action["kind"] != NOTHING:
            outcome = _post(action, event)
    except Exception as error:  # of any kind: it is noted as the outcome
        outcome, output = _reason(error), ""
    note(rule, event, outcome, time.monotonic() - started, output)
    return outcome, output


# -- commands ------------------------------------------------------------------------------------


def _run(argv: list[str], event: Event, root: str, depth: int) -> tuple[str, str]:
    """Run a command. It gets the event as JSON on standard input and in variables, and the repository in ARTSTORE_DIR.

    It doesn't get the user's token of a served repository: what it starts must not act there as the user.
    """
    environment = {name: value for name, value in os.environ.items() if name != TOKEN}
    for key, value in event.items():
        text = value if isinstance(value, str) else json.dumps(value)
        # A field that is too long for a variable is only on standard input.
        if value is not None and key != "event" and len(text) <= _LONGEST_VARIABLE:
            environment[f"ARTSTORE_EVENT_{key.upper()}"] = text.replace("\0", "")
    environment |= {"ARTSTORE_EVENT": event["event"], "ARTSTORE_DIR": root, DEPTH: str(depth)}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
        given.write(json.dumps(event).encode())
        given.seek(0)
        process = subprocess.Popen(
            argv, stdin=given, stdout=output, stderr=subprocess.STDOUT, cwd=os.path.dirname(root), env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(COMMAND_TIMEOUT)
            outcome = "ok" if code == 0 else f"exit code {code}" if code > 0 else f"ended by signal {-code}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            outcome = f"ended after {COMMAND_TIMEOUT:.0f} s"
        output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
        return outcome, output.read().decode("utf-8", "replace")


# -- webhooks ------------------------------------------------------------------------------------


def _post(action: dict[str, Any], event: Event) -> str:
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
            reply.read1(_TAIL)
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
        return f"{urlsplit(url).netloc.rpartition('@')[2]} can't be reached: {_reason(error)}", True


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, OSError) and isinstance(reason.filename, str):
        return f"{printable(reason.filename)}: {reason.strerror}".lower()
    return printable(str(getattr(reason, "strerror", None) or reason)).lower()


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


# -- the log -------------------------------------------------------------------------------------


def log_path() -> str:
    """The path of the log of automations."""
    return os.path.join(state_folder(), "automations.log")


def note(rule: Rule, event: Event, outcome: str, seconds: float, output: str) -> None:
    """Add the outcome of an action to the log. If the log can't be written, nothing happens."""
    run = f"{event['entity']}/{event['project']}/{event['run']}" if "run" in event else None
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "automation": rule["name"], "id": rule["id"],
        "repository": event.get("repository"), "event": event["event"],
        "about": event.get("spec") or run or event.get("collection"), "outcome": outcome, "seconds": round(seconds, 3),
        "output": output,
    }  # fmt: skip
    try:
        _append(json.dumps(line).encode() + b"\n")
    except OSError:
        pass  # the action is done all the same


def _append(line: bytes) -> None:
    path = log_path()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    try:
        if os.path.getsize(path) > _LOG_MOST:
            os.replace(path, f"{path}.1")
    except FileNotFoundError:
        pass
    with closing_fd(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)) as fd:
        os.write(fd, line)


def read_log() -> list[dict[str, Any]]:
    """The outcomes of actions in the log, the oldest first."""
    found = []
    for path in (f"{log_path()}.1", log_path()):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    try:
                        value = json.loads(line)
                    except ValueError:
                        continue  # a line that was cut off
                    if isinstance(value, dict) and "automation" in value:
                        found.append(dict.fromkeys(_LINE) | value)
        except FileNotFoundError:
            continue
    return found


_LINE = ("time", "automation", "id", "repository", "event", "about", "outcome", "seconds", "output")
