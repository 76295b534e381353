"""Schemes that nobody knows, and handlers of one's own."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from artstore.backends import references
from artstore.backends.references import Reference, Target
from artstore.errors import (
    MissingReference,
    NotFound,
)
from tests.support.artifacts import again, draft, log, paths
from tests.support.commands import Cli
from tests.support.references import files, logged


def test_an_unknown_scheme_needs_a_name_and_is_not_fetched(here: Path, cli: Cli) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match='You must pass name="<entry_name>" when tracking references with unknown schemes'):  # fmt: skip
        artifact.add_reference("mars://base/far.bin")
    (entry,) = artifact.add_reference("mars://base/far.bin", "far.bin")
    assert (entry.size, entry.digest, entry.ref) == (None, "mars://base/far.bin", "mars://base/far.bin")
    log(artifact)
    with pytest.raises(NotFound, match="mars://base/far.bin can't be fetched"):
        again().download("out")
    assert not (here / "out").exists()
    done = cli("get", "data", "--root", "out", cwd=here)
    assert done.code == 4 and "nothing here knows 'mars://'" in done.err and "--exclude" in done.err
    assert cli("get", "data", "--root", "out", "--exclude", "far.bin", cwd=here).code == 0
    assert files("out") == {"f": b"1"}
    assert files(again().download("out2", exclude=["*.bin"])) == {"f": b"1"}


class Planets:
    """A place that is a dict: bytes by URI."""

    bodies: ClassVar[dict[str, bytes]] = {}

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        for known, body in sorted(self.bodies.items()):
            if known.startswith(uri):
                below = known.removeprefix(uri).lstrip("/")
                yield Target(below, Reference(known, len(body) if checksum else None, "uri", known, "7"))

    def read(self, reference: Reference) -> Iterator[bytes]:
        if reference.uri not in self.bodies:
            raise MissingReference(f"{reference.uri} is not there any more")
        yield self.bodies[reference.uri]


@pytest.fixture
def planets(monkeypatch: pytest.MonkeyPatch) -> type[Planets]:
    monkeypatch.setattr(Planets, "bodies", {"mars://base/a": b"1", "mars://base/sub/b": b"22"})
    monkeypatch.setattr(references, "_handlers", dict(references._handlers))
    return Planets


def test_a_handler_of_ones_own_is_asked_for_its_scheme(here: Path, planets: type[Planets]) -> None:
    references.register("MARS", planets)
    artifact = logged("mars://base")
    assert paths(artifact) == ["a", "sub/b"] and artifact.get_entry("a").extra == {"versionID": "7"}
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}
    assert logged("Mars://base/a".replace("Mars", "mars"), name="one").get_entry("a").size == 1


def test_a_handler_is_found_as_an_entry_point(
    here: Path, planets: type[Planets], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("mars", "tests.backends.references.test_schemes:Planets", "artstore.references")

    def entry_points(group: str, name: str) -> list[EntryPoint]:
        return [point] if (group, name) == ("artstore.references", "mars") else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    artifact = logged("mars://base")
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}


def test_a_handler_whose_paths_lead_out_adds_nothing(here: Path, planets: type[Planets]) -> None:
    planets.bodies["mars://base/../../etc/passwd"] = b"x"
    references.register("mars", planets)
    artifact = draft()
    with pytest.raises(ValueError, match="Invalid artifact path"):
        artifact.add_reference("mars://base")
    assert paths(artifact) == ["f"]
