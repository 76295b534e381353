"""The six safeguards of the protocol, and three of packing, each left out of the real code by a change to its text.

Their names are the models'.
"""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from artstore.operations.saving.reliance import Reliance
from artstore.operations.upkeep import merge as merging
from artstore.operations.upkeep.grouping import Grouper
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.removal import Removal
from artstore.store.transaction import Transaction
from tests.guarantees.schedule.packing_model import NO_SECOND_LOOK, ONE_COPY, PACKS_ONCE
from tests.guarantees.schedule.protocol_model import (
    MERGER_UNLINKS,
    NO_RECHECK,
    NO_SECOND_READ,
    NOTED_FIRST,
    SHARED_TRASH,
    TRANSACTIONS_FIRST,
)

_ODD = "__import__('artstore.backends.owner', fromlist=['owner']).this_process().pid % 2"
"""Whether the process of an actor has an odd number: of two collectors one has."""
_LOOK = "tuple(open_transactions(self._storage, but=self._own))"
_EDITS: dict[str, list[tuple[Any, str, str, str]]] = {
    NO_RECHECK: [
        (Transaction, "ensure", "for _ in range(100):", "return\n    for _ in range(100):"),
        (Reliance, "check_bases", "for path, id in self._bases:", "for path, id in ():"),
        (
            Reliance,
            "ensure_copied",
            "for version in versions:\n        if not",
            "for version in ():\n        if not",
        ),
    ],
    NO_SECOND_READ: [(Removal, "finish", "given_back += self._give_back(needed)", "")],
    TRANSACTIONS_FIRST: [
        (Removal, "__init__", "self._young: list[str] = []", f"self._young, self._seen = [], {_LOOK}"),
        (Removal, "finish", _LOOK, "self._seen"),
    ],
    SHARED_TRASH: [
        (Removal, "__init__", 'f"trash/{reason}.{this_process()}"', '"trash/shared"'),
        (Removal, "__init__", "self._storage.claim(", "self._storage.make_folder("),
        (Removal, "_let_go", "if not self", "if folder == self._mine: return\n    if not self"),
    ],
    MERGER_UNLINKS: [
        (merging, "_merge_once", "removal.take_pack(pack.name)", "objects.storage.remove(pack_path(pack.name))"),
        (Grouper, "_let_go", "removal.take_pack(name)", "self._objects.storage.remove(pack_path(name))"),
    ],
    NOTED_FIRST: [
        (Removal, "__init__", "self._young: list[str] = []", f"self._young, self._seen = [], _note({_LOOK})"),
        (Removal, "finish", "((self._mine, None),", "((self._mine, _noted(self._seen)),"),
    ],
    PACKS_ONCE: [
        (
            Marks,
            "_mark_segments",
            "while new := packs.refresh() - self.packs:",
            "while not self.packs and (new := packs.refresh() - self.packs):",
        )
    ],
    NO_SECOND_LOOK: [(Removal, "_target", "return None if there else blob_path(digest)", "return None")],
    ONE_COPY: [
        (
            Marks,
            "_mark_segments",
            "in self._recipes:",
            f"in dict(sorted(self._recipes, key=lambda one: len(one[1]), reverse={_ODD})).items():",
        )
    ],
}


KNOWN: dict[str, tuple[str, tuple[str, ...], str]] = {
    NO_RECHECK: ("plain", ("saver", "deleter", "collector"), "saver to link refs, deleter, collector, saver"),
    NO_SECOND_READ: (
        "deleted", ("saver", "collector"),
        "saver to link refs, collector to stat tmp, saver 1, saver dies, collector",
    ),
    TRANSACTIONS_FIRST: (
        "deleted", ("saver", "collector"),
        "collector to rename objects, saver to link refs, collector to unlink trash, saver 1, saver dies, collector",
    ),
    SHARED_TRASH: (
        "plain", ("saver", "deleter", "collector", "collector"),
        "collector to listdir trash/shared, collector 1, collector to listdir trash/shared, collector 1, deleter, "
        "saver to link refs, collector2 to rename objects, saver, collector2 2, collector, collector2",
    ),
    MERGER_UNLINKS: ("packs", ("merger", "collector"), "merger to mkdir trash, collector, merger"),
    NOTED_FIRST: (
        "deleted", ("saver", "collector"),
        "collector to rename objects, saver to link refs, collector to unlink trash, saver 1, saver dies, collector",
    ),
    PACKS_ONCE: (
        "segments", ("packer", "forgetter", "collector"),
        "forgetter, collector to rename objects, packer, collector",
    ),
    NO_SECOND_LOOK: ("files", ("heir", "deleter", "collector"), "deleter, collector to rename objects, heir, collector"),
    ONE_COPY: ("twice", ("collector", "collector"), "collector, collector2"),
}  # fmt: skip
"""For each safeguard a scene, a cast and a schedule that show what it is for."""


@contextmanager
def mutated(mutation: str | None) -> Iterator[None]:
    """In the block the real code is without this safeguard."""
    with ExitStack() as stack:
        for owner, name, old, new in _EDITS[mutation] if mutation else ():
            stack.enter_context(mock.patch.object(owner, name, _edited(getattr(owner, name), old, new)))
        yield


def _edited(function: Any, old: str, new: str) -> Any:
    """The function with a piece of its text replaced, once; edits of one function add up."""
    text = getattr(function, "edited_text", None) or textwrap.dedent(inspect.getsource(function))
    if text.count(old) != 1:
        raise ValueError(f"{function.__qualname__} has no single {old!r}: the mutation has to follow the code")
    text, made = text.replace(old, new), dict[str, Any]()
    exec(text, vars(sys.modules[function.__module__]), made)
    made[function.__name__].edited_text = text
    return made[function.__name__]
