"""What a crowd's ledgers say against what the independent reader finds: nothing acknowledged is lost, nothing dangles."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from blake3 import blake3

from artstore.repository import Repository
from tests.support.reader import Reader

LARGE = 1 << 20
_TENSOR = 500_000


def content(key: str) -> dict[str, bytes]:
    """The files of a content, by its key: two small ones, of which one is in every content, and for some a large one.

    In a crowd with packers the large ones are checkpoints of which each has most tensors of the one before it.
    """
    kind, number = key.split()
    files = {"key": key.encode(), "below/common": b"the same everywhere"}
    if kind == "checkpoint":
        files["large"] = checkpoint(int(number))
    elif int(number) % 6 == 0:
        files["large"] = blake3(key.encode()).digest(length=LARGE + 1)
    return files


def checkpoint(number: int) -> bytes:
    """A safetensors file of three tensors of 500 kB, which shrink to half of that when they are packed.

    Two of them are in the checkpoints before and behind it, too. Of the third one byte in a hundred is its own.
    """
    drifting = bytearray(_tensor(0))
    drifting[::100] = _tensor(1 + number)[::100]
    tensors = [_tensor(100 + number // 2), _tensor(101 + number // 2), drifting]
    header = {
        f"layer{at}": {"dtype": "U8", "shape": [_TENSOR], "data_offsets": [at * _TENSOR, (at + 1) * _TENSOR]}
        for at in range(len(tensors))
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors)


def _tensor(seed: int) -> bytes:
    return blake3(b"%d" % seed).digest(length=_TENSOR).translate(bytes(byte & 15 for byte in range(256)))


def read_ledgers(folder: Path, name: str | None = None) -> list[dict[str, Any]]:
    """All lines, in each worker's order. A worker killed while it wrote leaves half a line, which acknowledges nothing."""
    lines = []
    for path in [folder / name] if name else sorted(folder.iterdir()):
        for line in path.read_text().split("\n") if path.exists() else []:
            try:
                lines.append({**json.loads(line), "worker": path.name})
            except ValueError:
                continue
    return lines


class Accounts:
    """The result of a crowd's work; `problems` is empty when all is well."""

    def __init__(self, root: Path, ledgers: Path, *, kills: int = 0, crashes: list[str]) -> None:
        self.kills = kills
        self.problems = list(crashes)
        self.lines = read_ledgers(ledgers)
        self.done = Counter(line["what"] for line in self.lines)
        self.refused = Counter(f"{line['kind']} {line['error']}" for line in self.lines if line["what"] == "refused")
        self.waited = sum(line["waited"] for line in self.lines if line["what"] == "gc")
        self.freed = sum(line["freed"] for line in self.lines if line["what"] == "gc")
        self.problems += [
            f"{line['worker']}: {line['kind']}: {line['error']}" for line in self.lines if line["what"] == "bug"
        ]
        self._reader = Reader(root)
        self._logs: dict[str, list[dict[str, Any]]] = {}
        self._states: dict[str, dict[str, Any]] = {}
        for log in self._reader.logs:
            entries = self._reader._log(*log)
            self._logs[log[2]] = [{"kind": kind, **change} for _, changes in entries for kind, _, change in changes]
            self._states[log[2]] = self._reader.state(*log)
        for line in self.lines:
            if line["what"] in ("save", "edit", "alias", "rm", "undelete"):
                self._account(line)
        self._check_histories()
        self.problems += [f"reader: {problem}" for problem in self._reader.check()]
        with Repository(str(root)) as repository:
            self.problems += [f"fsck: {problem}" for problem in repository.fsck().problems]

    @property
    def acknowledged(self) -> int:
        return sum(self.done[what] for what in ("save", "edit", "alias", "rm", "undelete"))

    @property
    def packed(self) -> int:
        """Large blobs that were packed, some several times."""
        return sum(line["blobs"] for line in self.lines if line["what"] == "pack")

    def report(self) -> str:
        done = ", ".join(
            f"{number:,} {what}" for what, number in sorted(self.done.items()) if what not in ("begin", "refused")
        )
        refused = ", ".join(f"{number} {what}" for what, number in sorted(self.refused.items())) or "nothing"
        text = f"{self.acknowledged:,} acknowledged changes ({done}), {self.kills} workers killed, refused: {refused}"
        if self.done["gc"]:
            text += f"; {self.freed:,} bytes freed, {self.waited} collections waited"
        if self.done["pack"]:
            text += f"; {self.packed} large files packed"
        return "\n".join([f"{text}; {len(self.problems)} problems", *self.problems[:20]])

    # -- one acknowledged operation --

    def _account(self, line: dict[str, Any]) -> None:
        state, log = self._states[line["collection"]], self._logs[line["collection"]]
        version = state["ids"].get(line["id"])
        name = f"{line['worker']}: acknowledged {line['what']} of {line['id'][:12]}"
        if version is None or "number" not in version:
            self.problems.append(f"{name}: there is no such version")
        elif line["what"] == "save":
            if (version["number"], version["digest"]) != (line["number"], line["digest"]):
                self.problems.append(f"{name}: number or digest is another")
            if not any(c["kind"] == "delete" and c["id"] == line["id"] for c in log):
                self._read(line, name)
        elif line["what"] == "edit":
            if version["metadata"].get(line["key"]) != line["value"]:
                self.problems.append(f"{name}: metadata {line['key']} is lost")
        elif not any(self._is(change, line) for change in log):
            self.problems.append(f"{name}: no entry says so")

    def _is(self, change: dict[str, Any], line: dict[str, Any]) -> bool:
        kind = {"rm": "delete"}.get(line["what"], line["what"])
        return change["kind"] == kind and change["id"] == line["id"] and change.get("alias") == line.get("alias")

    def _read(self, line: dict[str, Any], name: str) -> None:
        """A version that nobody deleted is live, and has the very bytes that were saved."""
        try:
            version = self._states[line["collection"]]["ids"][line["id"]]
            expected = content(line["key"]) if " " in line["key"] else {"small": line["key"].encode()}
            files = {path.decode(): self._reader.read(digest) for path, _, _, digest in self._reader.files(line["id"])}
            if not version["live"] or files != expected:
                self.problems.append(f"{name}: it is not live, or has other bytes")
        except Exception as error:
            self.problems.append(f"{name}: {error!r}")

    # -- whole histories --

    def _check_histories(self) -> None:
        for name, log in self._logs.items():
            numbers = [change["number"] for change in log if change["kind"] == "version"]
            if numbers != list(range(len(numbers))):
                self.problems.append(f"{name}: version numbers have gaps or repeat: {numbers}")
            aliases: dict[str, str | None] = {}
            for change in log:
                if change["kind"] == "alias":
                    if change["old"] != aliases.get(change["alias"]):
                        self.problems.append(f"{name}: a move of {change['alias']} does not know what it replaced")
                    aliases[change["alias"]] = change["id"]
                elif change["kind"] == "delete":
                    aliases = {alias: id for alias, id in aliases.items() if id != change["id"]}
            if {alias: id for alias, id in aliases.items() if id} != self._states[name]["aliases"]:
                self.problems.append(f"{name}: aliases are not as last moved")
