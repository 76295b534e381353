"""Saves, moves aliases, deletes, merges and collects without end, and writes down each thing before and after it is done.

    python -m tests.guarantees.faults.writer REPOSITORY LEDGER SEED

Lines of the ledger are JSON arrays: `["saved", name, number, seed]`, `["alias", name, alias, number]`, and before what
takes away: `["deleting", name, number]`, `["moving", name, alias, number]`. A line that ends in a newline counts.
"""

import json
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from artstore.errors import NoSpace
from artstore.repository import Repository
from tests.guarantees.faults.place import Content, Ledger, Place, content_from

NAMES = ("data", "model", "table")
_KEPT = 12
"""Live versions of each name; older ones are deleted."""
_BALLAST = 64 << 20
"""Bytes that lie beside the repository, to be freed when the disk is full."""


def files(seed: str) -> dict[str, bytes]:
    """A version's files: small ones, some shared with other versions, and sometimes a large one (or many), or two that shrink when they are packed."""
    chance = random.Random(seed)
    found = {f"{chance.randrange(40)}.txt": f"shared {chance.randrange(40)}".encode() for _ in range(6)}
    found |= {f"{seed}/{number}": chance.randbytes(chance.randrange(5000)) for number in range(chance.randrange(8))}
    large = chance.choices((0, 1, 2, 17), (20, 8, 3, 1))[0]
    found |= {f"large/{number}": chance.randbytes((1 << 20) + chance.randrange(1000)) for number in range(large)}
    return found | {f"hex/{number}": chance.randbytes(600_000).hex().encode() for number in range(chance.randrange(3))}


class Writer:
    def __init__(self, root: Path, ledger: Path, seed: str) -> None:
        self._root = str(root)
        self._ledger = ledger.open("a", buffering=1)
        self._chance = random.Random(seed)
        self._seed = seed
        self._live: dict[str, list[int]] = {name: [] for name in NAMES}
        self._saves = 0
        self._ballast = root.parent / "ballast"
        self._take_room()

    def _note(self, *values: object) -> None:
        """One write per line: who reads beside sees whole lines but for the last."""
        self._ledger.write(json.dumps(values) + "\n")

    def _take_room(self) -> None:
        """What is given back when the disk is full, as a person would free something."""
        with suppress(OSError):
            self._ballast.write_bytes(bytes(_BALLAST))

    def step(self, scratch: Place) -> None:
        """One thing, chosen by chance. When the disk is full nothing was acknowledged, and room is made."""
        with Repository(self._root) as repository:
            try:
                self._act(repository, scratch)
            except NoSpace:
                self._ballast.unlink()
                for name, live in self._live.items():
                    while len(live) > 2:
                        self._delete(repository, name, live.pop(0))
                self._collect(repository, now=True)
                self._take_room()

    def _act(self, repository: Repository, scratch: Place) -> None:
        name = self._chance.choice(NAMES)
        live = self._live[name]
        if not live or self._chance.random() < 0.6:
            self._save(repository, scratch, name)
        elif self._chance.random() < 0.5:
            self._move(repository, name, self._chance.choice(live))
        elif len(live) > _KEPT or (len(live) > 2 and self._chance.random() < 0.3):
            self._delete(repository, name, live.pop(0))
        elif self._chance.random() < 0.5:
            repository.pack()
        else:
            self._collect(repository, now=self._chance.random() < 0.5)

    def _save(self, repository: Repository, scratch: Place, name: str) -> None:
        self._saves += 1
        seed = f"{self._seed}-{self._saves}"
        scratch.write(files(seed))
        saved = repository.put(str(scratch.source), name)
        self._live[name].append(saved.number)
        self._note("saved", name, saved.number, seed)

    def _move(self, repository: Repository, name: str, number: int) -> None:
        self._note("moving", name, "best", number)
        repository.set_aliases(f"{name}:v{number}", ("best",))
        self._note("alias", name, "best", number)

    def _delete(self, repository: Repository, name: str, number: int) -> None:
        self._note("deleting", name, number)
        repository.delete(f"{name}:v{number}", delete_aliases=True)

    def _collect(self, repository: Repository, *, now: bool) -> None:
        repository.gc(now=now)


def acknowledged(lines: list[str], later: list[str]) -> Ledger:
    """What must be so, by these lines of a writer's ledger; `later` ones may or may not have been so at the instant."""
    ledger = Ledger({}, {}, {})
    done = map(json.loads, lines)
    begun = (line for line in map(json.loads, later) if line[0] in ("deleting", "moving"))
    for kind, name, *rest in (*done, *begun):
        if kind == "saved":
            ledger.versions[f"{name}:v{rest[0]}"] = _content(rest[1])
        elif kind == "deleting":
            ledger.versions.pop(f"{name}:v{rest[0]}", None)
            for spec, numbers in list(ledger.aliases.items()):
                if spec.startswith(f"{name}:") and rest[0] in numbers:
                    del ledger.aliases[spec]  # it goes with its version
        elif kind == "moving" and f"{name}:{rest[0]}" in ledger.aliases:
            ledger.aliases[f"{name}:{rest[0]}"].append(rest[1])
        elif kind == "alias":
            ledger.aliases[f"{name}:{rest[0]}"] = [rest[1]]
    return ledger


def _content(seed: str) -> Content:
    return content_from(files(seed))


def work(writer: Writer) -> NoReturn:
    """One thing after another."""
    with tempfile.TemporaryDirectory() as scratch:
        while True:
            writer.step(Place(Path(scratch)))


def main() -> None:
    root, ledger, seed = sys.argv[1:]
    work(Writer(Path(root), Path(ledger), seed))


if __name__ == "__main__":
    main()
