"""What tests of packed blobs save, and what they ask of a repository."""

import json
import random
import struct
from functools import cache
from pathlib import Path

from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.segments import Packed
from tests.support.folders import snapshot

MIB = 1 << 20
STEPS = 4


def tensor(seed: int) -> bytearray:
    """1 MiB of BF16 numbers."""
    return bytearray(b for low in random.Random(seed).randbytes(MIB // 2) for b in (low, 0x3F))


def trained(data: bytearray, seed: int) -> bytearray:
    """The numbers after a step of training: some differ in their lowest bit."""
    changes = random.Random(seed).randbytes(len(data) // 2)
    after = bytearray(data)
    for at, change in enumerate(changes):
        after[2 * at] ^= change < 30
    return after


def model(*tensors: bytes) -> bytes:
    """A safetensors file."""
    header, at = dict[str, object](), 0
    for number, data in enumerate(tensors):
        header[f"layer{number}"] = {"dtype": "BF16", "shape": [len(data) // 2], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensors)


@cache
def steps(count: int = STEPS) -> list[bytes]:
    """A model after each step of its training."""
    tensors, found = [tensor(1), tensor(2)], []
    for step in range(count):
        found.append(model(*tensors))
        tensors = [trained(data, 10 * step + number) for number, data in enumerate(tensors)]
    return found


def packed_of(repo: Repository, spec: str, path: str = "model.safetensors") -> Packed:
    repo.objects.packs.refresh()
    digest = repo.entry(repo.find(spec), path).digest
    found = repo.objects.large.packed.find(digest)
    assert found is not None
    return found


def deltas(repo: Repository, spec: str, path: str = "model.safetensors") -> int:
    return sum(segment.delta is not None for segment in packed_of(repo, spec, path).segments)


def stored_files(repository: Repository) -> list[str]:
    return [digest.hex() for digest, _ in repository.objects.large.files()]


def stored_bytes(repository: Repository) -> int:
    return sum(size for _, size in repository.storage.below("objects"))


def out(repository: Repository, spec: str, place: Path, **how: object) -> dict[str, tuple[bool, bytes] | None]:
    repository.get(repository.find(spec), str(place), Restore(**how))  # type: ignore[arg-type]
    return snapshot(place)
