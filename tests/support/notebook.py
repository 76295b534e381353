"""Notebooks: cells that a real kernel executes, and what is below each in the end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.commands import environment

_DRIVER = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
try:
    for code in json.loads(sys.argv[1]):
        told = []
        client.execute_interactive(code, timeout=60, output_hook=lambda message: told.append(
            {"kind": message["header"]["msg_type"], **message["content"]}), allow_stdin=False)
        print(json.dumps(told))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def messages(work: Path, *cells: str, **more: str) -> list[list[dict[str, Any]]]:
    """For each cell, the messages that its kernel sends: kind, and what belongs to the kind."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _DRIVER, json.dumps(cells)], cwd=work, env=environment(work, **more),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def below(told: list[dict[str, Any]], form: str = "text/plain") -> list[str]:
    """What stands below a cell in the end: its displays as last updated, and its streams."""
    shown: dict[str, str] = {}
    for number, message in enumerate(told):
        if message["kind"] in ("display_data", "update_display_data", "execute_result"):
            shown[message.get("transient", {}).get("display_id", str(number))] = message["data"].get(form, "")
        elif message["kind"] in ("stream", "error"):
            shown[str(number)] = message.get("text", "\n".join(message.get("traceback", [])))
    return list(shown.values())
