"""Large blobs that are packed at the server: given as files are, and nobody gets a segment, or learns who shares it."""

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from artstore.domain.digest import BLOB, RECIPE, Digest, from_hex
from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.support.folders import make_tree
from tests.support.matrix import Known
from tests.support.served import Asking, Server, serving
from tests.support.team import Team


def noise(seed: int, size: int) -> bytes:
    """Hex digits: they shrink, and are cut by their content."""
    return random.Random(seed).randbytes(size // 2).hex().encode()


CONTENT, OTHER = (noise(seed, 1 << 20) + noise(0, 3 << 20) for seed in (1, 2))


class Packed(NamedTuple):
    server: Server
    known: Known
    segments: list[Digest]
    """of the large file of project vision; its last one is also in the other project's"""

    @property
    def blob(self) -> str:
        return f"/blobs/{self.known.digests['vision']}?log={self.known.folder('vision')}&id={self.known.ids['vision']}"


@pytest.fixture(scope="module", params=[(), ("--accel", "/stored")], ids=["plain", "accel"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    folder = tmp_path_factory.mktemp("packed")
    with Repository.init(str(folder / ".artifacts")) as repository:
        for project, content in (("vision", CONTENT), ("hidden", OTHER)):
            repository.put(str(make_tree(folder / project, {"big.bin": content})), f"{project}/data", type="dataset")
        assert repository.pack().blobs == 2
        of = {}
        for project in ("vision", "hidden"):
            found = repository.find(f"{project}/data")
            blob = repository.objects.large.packed.find(repository.entry(found, "big.bin").digest)
            assert blob is not None
            of[project] = [segment.digest for segment in blob.segments]
        assert of["vision"][-1] == of["hidden"][-1] and len(of["vision"]) > 1
    with serving(folder, *request.param) as server:
        yield Packed(server, Known(server.token("root", Role.ADMIN)), of["vision"])


@pytest.fixture(scope="module")
def writer(packed: Packed) -> Asking:
    return packed.server.token("writer", Role.WRITER, "local/vision")


def test_a_packed_file_is_given_whole_and_in_parts_and_never_by_the_proxy(packed: Packed, writer: Asking) -> None:
    for how, status, content in (
        ({}, 200, CONTENT),
        ({"Range": "bytes=4-9"}, 206, CONTENT[4:10]),
        ({"Range": "bytes=600000-1300000"}, 206, CONTENT[600_000:1_300_001]),
        ({"Range": "bytes=-3"}, 206, CONTENT[-3:]),
        ({"Range": f"bytes={len(CONTENT)}-"}, 416, b""),
    ):
        told, headers, body = writer.whole("GET", packed.blob, **how)
        assert (told, body) == (status, content)
        assert headers["x-accel-redirect"] is None
    shaped, path = writer._replace(prefix=""), "/datasets/vision/data/resolve/main/big.bin"
    status, headers, body = shaped.whole("HEAD", path)
    assert (status, headers["content-length"], body) == (200, str(len(CONTENT)), b"")
    assert shaped.get(path) == (200, CONTENT)
    assert shaped.get(path, Range="bytes=600000-600009") == (206, CONTENT[600_000:600_010])
    with Team(packed.server) as team:
        assert team.visitor("reader", Role.READER).get("/raw/local/vision/data/0?path=big.bin").body == CONTENT
        assert team.visitor("viewer", Role.VIEWER).get("/raw/local/vision/data/0?path=big.bin").status == 403


def test_a_segment_is_given_to_nobody(packed: Packed, writer: Asking) -> None:
    """Not even through the version whose file it is a part of: whether another project shares it is not to be told."""
    absent = Digest(bytes(32))
    for asker in (writer, packed.known.admin):
        for project in ("vision", "hidden"):
            folder, id = packed.known.folder(project), packed.known.ids[project]
            for digest in (*packed.segments, absent):
                seen = asker is not writer or project == "vision"
                told = asker.post("/objects", through=[[folder, [id]]], digests=[digest.hex()])
                assert told == (200, [[0, digest, None], ["end"]]) if seen else told[0] == 404
                assert asker.get(f"/blobs/{digest.hex()}?log={folder}&id={id}")[0] == 404


def test_no_recipe_is_taken_and_no_segment_counts_as_sent(packed: Packed, writer: Asking) -> None:
    transaction = writer.begin()
    for kind in (RECIPE, 5, 0):
        status, told = writer.send(transaction, (kind, b"\x93" + bytes(99)))
        assert status == 400 and told["error"] == f"{kind} is not a kind of object"
    through = [[packed.known.folder("vision"), [packed.known.ids["vision"]]]]
    digests = [digest.hex() for digest in packed.segments]
    status, held = writer.ask("POST", f"/transactions/{transaction}/held", {"through": through, "digests": digests})
    assert (status, held) == (200, [["end"]])
    assert writer.ask("DELETE", f"/transactions/{transaction}")[0] < 300


def test_the_packed_file_itself_is_asked_for_by_its_size(packed: Packed, writer: Asking) -> None:
    digest, folder = packed.known.digests["vision"], packed.known.folder("vision")
    told = writer.post("/objects", through=[[folder, [packed.known.ids["vision"]]]], digests=[digest])
    assert told == (200, [[BLOB, from_hex(digest), len(CONTENT)], ["end"]])
