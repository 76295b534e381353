"""The keys that users give to entries of a draft, and how they are stored with the version."""

import os
from typing import Any

from artstore.domain.builder import Parts, TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.codec import encode_json
from artstore.domain.extras import Extras
from artstore.domain.metadata import LONG, plain_extra
from artstore.domain.names import parse_path
from artstore.domain.tree import Folder
from artstore.operations.saving.properties import check_length
from artstore.store.transaction import Transaction


class DraftExtras:
    """The keys of a draft's entries, to be edited. An entry that is added again has none at first, as in W&B."""

    def __init__(self) -> None:
        self._of: dict[Parts, dict[str, Any]] = {}

    def of(self, parts: Parts) -> dict[str, Any]:
        """The keys of the entry at a path."""
        return self._of.setdefault(parts, {})

    def restore(self, extras: Extras) -> None:
        """Give entries these keys, which nobody else may edit."""
        self._of |= {parse_path(path): keys for path, keys in extras.items()}

    def forget(self, parts: Parts) -> None:
        """Forget the keys of the entry at a path."""
        self._of.pop(parts, None)

    def forget_below(self, parts: Parts) -> None:
        """Forget the keys of all entries in a folder."""
        for other in self._below(parts):
            del self._of[other]

    def forget_added(self, parts: Parts, added: Folder, tx: Transaction) -> None:
        """Forget the keys of the entries that a folder holds, which was added at a path."""
        if below := [other[len(parts) :] for other in self._below(parts)]:
            tree = TreeBuilder(tx.read_tree)
            tree.graft((), added)
            for other in tree.files_among(below):
                del self._of[(*parts, *other)]

    def _below(self, parts: Parts) -> list[Parts]:
        return [other for other in self._of if other[: len(parts)] == parts]

    def found_in(self, tree: TreeBuilder) -> Extras:
        """The keys of the entries that the draft has now, as JSON values.

        Raises InvalidType or InvalidValue for a value that has no JSON form. It names the entry.
        """
        there = tree.files_among(parts for parts, keys in self._of.items() if keys)
        named = ((os.fsdecode(b"/".join(parts)), self._of[parts]) for parts in there)
        return {path: plain_extra(keys, path) for path, keys in named}


def extras_change(tx: Transaction, id: str, extras: Extras) -> list[Change]:
    """The change that gives a new version the extras of its entries, none without. Long ones become a blob."""
    if not extras:
        return []
    text = encode_json(extras)
    blob = stored_extras(tx, extras) if len(text) > LONG else None
    return [new_change("extras", id=id, entries=None if blob else extras, blob=blob)]


def stored_extras(tx: Transaction, extras: Extras) -> str | None:
    """The digest of the blob that holds extras. It is added to the transaction; None without extras."""
    if not extras:
        return None
    text = encode_json(extras)
    check_length("the extra keys of entries", text)
    return tx.add_bytes(text).hex()
