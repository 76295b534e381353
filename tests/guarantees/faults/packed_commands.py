"""The commands under test that meet packed blobs: they send them, read them, write their packs anew, and mend them."""

from artstore.domain.digest import DELTA
from artstore.repository import Repository
from artstore.store.packs import Row
from tests.guarantees.faults.commands import (
    Command,
    garbage_is_gone,
    is_latest,
    is_mended,
    point_to_copy,
    with_checkpoints,
)
from tests.guarantees.faults.place import Ledger, Place, content_of
from tests.support.packing import steps


def _packed(place: Place, ledger: Ledger) -> None:
    with_checkpoints(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.pack()


def _with_remote(place: Place, ledger: Ledger) -> None:
    """What is here is packed; the remote is empty."""
    _packed(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.remotes.add("origin", str(place.remote), make=True)


def _pushed(place: Place, ledger: Ledger) -> None:
    _with_remote(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.push()
    ledger.there.update(ledger.versions)


def _packed_there(place: Place, ledger: Ledger) -> None:
    """The remote has a version more, and all of it is packed there."""
    _pushed(place, ledger)
    text = b"".join(b"%08d %d\n" % (line * 13, line) for line in range(90_000))
    place.write({"model": (place.source / "model").read_bytes() + text})
    with Repository(str(place.remote)) as remote:
        saved = remote.put(str(place.source), "model")
        remote.pack()
    ledger.there[f"model:v{saved.number}"] = content_of(place.source)


def _mostly_dead(place: Place, ledger: Ledger) -> None:
    """One of two versions is deleted: of the pack's segments less than half is needed."""
    with_checkpoints(place, ledger)
    place.write({"small": (place.source / "model").read_bytes()[: 1 << 20]})
    place.keep(ledger, "model")
    with Repository(str(place.store)) as repository:
        repository.pack()
        for number in range(2):
            repository.delete(f"model:v{number}")
            del ledger.versions[f"model:v{number}"]


def _damage(place: Place) -> None:
    """A bit of a segment has flipped; the remote is right."""
    point_to_copy(place)
    path = max((place.store / "objects/packs").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def _is_as_there(place: Place) -> list[str]:
    here, there = place.latest("model"), place.latest("model", there=True)
    return [] if here == there else [f"the newest version here is {str(here)[:100]}, there {str(there)[:100]}"]


def _base_deleted(place: Place, ledger: Ledger) -> None:
    """A step of a training is stored beside the one before, which is deleted: nothing else needs that."""
    for data in steps(2):
        place.write({"step": data})
        place.keep(ledger, "model")
    with Repository(str(place.store)) as repository:
        repository.pack()
        repository.delete("model:v0")
    del ledger.versions["model:v0"]


def _no_base_is_left(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        kinds = {row.kind for name in repository.objects.packs.names() for row in _rows(repository, name)}
    return [*(["a delta is left"] if DELTA in kinds else []), *garbage_is_gone(place)]


def _rows(repository: Repository, name: str) -> list[Row]:
    return list(repository.objects.packs.open(name).index.rows())


COMMANDS: dict[str, Command] = {
    "packed-put": Command(_packed, lambda place: ["put", str(place.source), "-n", "x"], is_latest),
    "packed-gc": Command(_mostly_dead, lambda place: ["gc", "--now"], garbage_is_gone),
    "packed-anew": Command(_base_deleted, lambda place: ["gc", "--now"], _no_base_is_left),
    "packed-push": Command(_with_remote, lambda place: ["push"], _is_as_there, warm=point_to_copy),
    "packed-pull": Command(_packed_there, lambda place: ["pull"], _is_as_there, warm=point_to_copy),
    "packed-repair": Command(_pushed, lambda place: ["fsck", "--repair"], is_mended, warm=_damage, mends=True),
}
