"""What tests of packed blobs ask of a repository."""

from pathlib import Path

from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from tests.support.folders import snapshot

MIB = 1 << 20


def stored_files(repository: Repository) -> list[str]:
    return [digest.hex() for digest, _ in repository.objects.large.files()]


def stored_bytes(repository: Repository) -> int:
    return sum(size for _, size in repository.storage.below("objects"))


def out(repository: Repository, spec: str, place: Path, **how: object) -> dict[str, tuple[bool, bytes] | None]:
    repository.get(repository.find(spec), str(place), Restore(**how))  # type: ignore[arg-type]
    return snapshot(place)
