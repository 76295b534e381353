"""Automations for tests: rules that note what they hear, and waiting for what a command did."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.worker import read_log
from artstore.repository import Repository
from tests.support.artifacts import again
from tests.support.folders import make_tree

PATIENCE = 60.0

KINDS: dict[str, Any] = {
    "created": w.OnCreateArtifact, "linked": w.OnLinkArtifact, "unlinked": w.OnUnlinkArtifact, "deleted": w.OnDeleteArtifact,
    "alias+": w.OnAddArtifactAlias, "alias-": w.OnRemoveArtifactAlias, "tag+": w.OnAddArtifactTag,
    "tag-": w.OnRemoveArtifactTag, "ctag+": w.OnAddCollectionTag, "ctag-": w.OnRemoveCollectionTag,
}  # fmt: skip
SHORT = {cls.event_type.value: short for short, cls in KINDS.items()} | {"RUN_STATE": "run"}


class Heard:
    """What functions of this process were told, as `kind what`; threads that were started are waited for."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def told(self) -> list[dict[str, Any]]:
        for thread in threading.enumerate():
            if thread.name.startswith("automation ") and thread is not threading.current_thread():
                thread.join(PATIENCE)
        events, self.events = self.events, []
        return events

    def words(self) -> list[str]:
        return sorted(map(_words, self.told()))


def _words(event: dict[str, Any]) -> str:
    what = event.get("alias") or event.get("tag") or event.get("state") or ""
    about = f"{event['collection']}:{event['version']}" if "version" in event else event.get("collection", "")
    return " ".join(part for part in (SHORT[event["event"]], about, what) if part)


def until(ready: Callable[[], Any], what: str = "it did not happen", seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError(what)


def outcomes(number: int = 1, name: str | None = None) -> list[dict[str, Any]]:
    """What the log says of automations, as soon as it says as much."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in read_log() if name in (None, line["automation"])]

    until(lambda: len(lines()) >= number, f"not {number} outcomes of {name or 'any'}", PATIENCE + number)
    return lines()


def sh(script: str, *arguments: object) -> w.RunCommand:
    return w.RunCommand(["/bin/sh", "-c", script, *map(str, arguments)])


def automate(action: w.Action, name: str = "act", event: w.OnEvent | None = None, **more: Any) -> w.Automation:
    return wandb.Api().create_automation((event or w.OnCreateArtifact()) >> action, name=name, **more)


def save(name: str = "data", text: str = "1", **more: Any) -> wandb.Artifact:
    """A version, saved without a run."""
    with Repository(".artifacts") as repository:
        make_tree(Path("src"), {"f": text})
        repository.put("src", name, **more)
    return again(name)


def RunIs(state: str) -> w.FilterExpr:
    found: w.FilterExpr = w.RunEvent.state.eq(state)
    return found
