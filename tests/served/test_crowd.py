"""Eight writers on one collection, some of whom die, and a server that dies: what was acknowledged is there."""

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.folders import make_tree
from tests.support.served import serving
from tests.support.servers import free_port
from tests.support.trouble import run, start

WRITERS = 8


class Writer(threading.Thread):
    """Saves and pushes in a clone of its own, until it is told to stop. It is killed now and then."""

    def __init__(self, folder: Path, url: str, token: str, stopped: threading.Event, turns: int) -> None:
        super().__init__()
        self.folder, self.stopped, self.turns = folder, stopped, turns
        self.names = {"ARTSTORE_TOKEN": token, "ARTSTORE_URL": url}
        self.acknowledged: list[str] = []
        self.chance = random.Random(folder.name)
        folder.mkdir()
        assert run(folder, "clone", url, "clone", **self.names).code == 0

    def run(self) -> None:
        for turn in range(self.turns):
            if self.stopped.is_set():
                return
            text = f"{self.folder.name} {turn}"
            make_tree(self.folder / "src", {"text": text, "more": text * 1000})
            self._do("put", self.folder / "src", "-n", "p/data")
            if self._do("push") == 0 or (self._do("pull") is not None and self._do("push") == 0):
                self.acknowledged.append(text)

    def _do(self, *words: Any) -> int | None:
        """Run a command, or begin it and kill it. Returns its exit code, or None if it was killed."""
        process = start(self.folder / "clone", *words, HOME=str(self.folder), **self.names)
        if words[0] == "push" and self.chance.random() < 0.25:
            time.sleep(0.15 + self.chance.random() * 0.4)
            process.kill()
        _, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return process.returncode if process.returncode >= 0 else None


@pytest.mark.long
@pytest.mark.timeout(900)
def test_eight_writers_who_die_and_a_server_that_dies_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    there = tmp_path / "there"
    with Repository.init(str(there / ".artifacts")) as repository:
        repository.put(str(make_tree(tmp_path / "first", {"text": "first"})), "p/data", type="dataset")
    address, stopped = f"127.0.0.1:{free_port()}", threading.Event()
    chance, writers, deaths = random.Random(1), list[Writer](), 0
    with serving(there, listen=address, dies=True) as server:
        tokens = [server.token(f"w{n}", Role.WRITER).secret or "" for n in range(WRITERS)]
        writers = [Writer(tmp_path / f"w{n}", server.url, token, stopped, 6) for n, token in enumerate(tokens)]
        for writer in writers:
            writer.start()
        time.sleep(3)
    while any(writer.is_alive() for writer in writers):
        with serving(there, listen=address, dies=True):
            deaths += 1
            until, enough = time.monotonic() + chance.uniform(4, 9), _count(writers) + 3
            while any(writer.is_alive() for writer in writers) and (
                time.monotonic() < until or _count(writers) < enough  # on a busy machine a push takes longer
            ):
                time.sleep(0.1)
    for writer in writers:
        writer.join()
    check(there / ".artifacts")
    acknowledged = {text for writer in writers for text in writer.acknowledged}
    with Repository(str(there / ".artifacts")) as repository:
        state = repository.collection("p/data")
        numbers = [version["number"] for version in state.live()]
        texts = {_text(repository, f"p/data:v{number}") for number in numbers}
    assert acknowledged <= texts and len(acknowledged) > WRITERS and deaths >= 2, (len(acknowledged), deaths)
    assert len(numbers) == len(set(numbers)) == state.next, "no number twice, and none left out"


def _count(writers: list[Writer]) -> int:
    return sum(len(writer.acknowledged) for writer in writers)


def _text(repository: Repository, name: str) -> str:
    found = repository.find(name)
    return b"".join(repository.content(repository.entry(found, "text"))).decode()
