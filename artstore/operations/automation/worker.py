"""The worker: a process that carries out actions of automations, and notes their outcomes. No other process waits
for it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from artstore.backends.background import close_inherited
from artstore.backends.credentials import TOKEN
from artstore.backends.files import closing_fd
from artstore.backends.homes import state_folder
from artstore.domain.wording import reason_of
from artstore.operations.automation.events import Event
from artstore.operations.automation.rules import COMMAND, NOTHING, Rule
from artstore.store.settings import DEPTH

COMMAND_TIMEOUT = 3600.0
"""Seconds. A command that runs longer is killed."""
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
    close_inherited()
    work = json.load(sys.stdin.buffer)
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for rule, event in work["jobs"]:
            pool.submit(perform, rule, event, work["root"], work["depth"])


def perform(rule: Rule, event: Event, root: str, depth: int) -> tuple[str, str]:
    """Carry out the action of a rule, and note the outcome. Returns `ok` or the error, and the end of the output."""
    started, action = time.monotonic(), rule["action"]
    try:
        outcome, output = "ok", ""
        if action["kind"] == COMMAND:
            outcome, output = _run(action["argv"], event, root, depth)
        elif action["kind"] != NOTHING:
            from artstore.operations.automation.webhooks import post

            outcome = post(action, event)
    except Exception as error:  # of any kind: it is noted as the outcome
        outcome, output = reason_of(error), ""
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
