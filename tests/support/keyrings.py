"""Keyrings of a system, as the package `keyring` knows them: one in a file, and those that fail."""

import json
import os
from pathlib import Path
from typing import Any

from keyring.backend import KeyringBackend


class InAFile(KeyringBackend):
    """Keeps passwords in the file that a variable names, so that several processes share it."""

    priority: Any = 1

    @property
    def _file(self) -> Path:
        return Path(os.environ["TEST_KEYRING"])

    def _all(self) -> dict[str, str]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps(self._all() | {f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        self._file.write_text(json.dumps({k: v for k, v in self._all().items() if k != f"{service} {username}"}))


class Locked(InAFile):
    """Refuses everything, as a keyring that nobody unlocks."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError("locked")


class Forgetful(InAFile):
    """Accepts a password and doesn't keep it."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass
