"""Notes of damage in bad/: which copies of objects in packs are damaged, and which packs can't be opened."""

from artstore.backends.storage import Storage
from artstore.domain.digest import Digest, from_hex, is_hex
from artstore.errors import StorageError
from artstore.store.paths import blob_path


class DamageNotes:
    """The notes, as of the last listing.

    Look-ups skip the damaged copies in them, so the next save of the same content stores it again.
    """

    def __init__(self, storage: Storage, *, kept: bool = True) -> None:
        """Unless notes are `kept`, they exist only in this process: none are written to the storage or read from it."""
        self._storage = storage
        self._kept = kept
        self._copies: set[tuple[str, bytes]] = set()
        self.broken: set[str] = set()
        """packs that can't be opened"""

    def refresh(self, packs: set[str]) -> None:
        """List the notes anew. `packs` are those that exist: broken ones that are gone are forgotten."""
        if self._kept:
            notes = self._storage.names("bad")
            self._copies = {
                (name[:64], bytes.fromhex(name[65:]))
                for name in notes
                if len(name) == 129 and name[64] == "." and is_hex(name[:64]) and is_hex(name[65:])
            }
            self.broken = {name[:64] for name in notes if len(name) == 69 and name.endswith(".pack")}
        self.broken &= packs

    def __bool__(self) -> bool:
        """Whether any copy is noted as damaged."""
        return bool(self._copies)

    def __contains__(self, copy: tuple[str, bytes], /) -> bool:
        return copy in self._copies

    @property
    def is_known(self) -> bool:
        """Whether there is damage that no later save has repaired. Then nothing may be relied on without a look-up."""
        return bool(self._copies or self.broken) or any(
            self._storage.size(blob_path(from_hex(name[:64]))) is None
            for name in self._storage.names("bad")
            if len(name) == 73 and is_hex(name[:64])
        )

    def copies(self) -> set[tuple[str, Digest]]:
        """(pack, digest) of each copy that is noted as damaged."""
        return {(pack, Digest(digest)) for pack, digest in self._copies}

    def of(self, digest: Digest) -> bool:
        """Whether any copy of this object is noted as damaged."""
        return any(bad == digest for _, bad in self._copies)

    def inside(self, pack: str) -> set[bytes]:
        """Digests of the damaged copies in a pack."""
        return {digest for name, digest in self._copies if name == pack}

    def note(self, pack: str, digest: Digest) -> None:
        """Note a damaged copy."""
        self._copies.add((pack, digest))
        self._write(f"bad/{pack}.{digest.hex()}")

    def note_broken(self, pack: str) -> None:
        """Note a pack that can't be opened. Nothing in it is relied on, so later saves look up every object."""
        if pack not in self.broken:
            self.broken.add(pack)
            self._write(f"bad/{pack}.pack")

    def forget(self, pack: str, digest: Digest) -> None:
        """Remove the note of a copy that is right after all, or gone."""
        self._copies.discard((pack, digest))
        self._storage.remove(f"bad/{pack}.{digest.hex()}")

    def _write(self, path: str) -> None:
        try:
            if self._kept:
                self._storage.create(path, b"")
        except StorageError:
            pass  # a read-only repository keeps no notes
