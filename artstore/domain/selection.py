"""Selecting some files of a version, by a path prefix and globs, while its trees are walked."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from artstore.domain.digest import Digest
from artstore.domain.ignore import NO_FILTER, NotingFilter, PathFilter
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, Entry, walk
from artstore.errors import NotFound


class Selection(NamedTuple):
    """A choice of files: those whose path begins with `prefix` (if `exact`, equals it) and passes the globs."""

    prefix: str = ""
    chosen: PathFilter = NO_FILTER
    exact: bool = False

    @property
    def everything(self) -> bool:
        return not self.prefix and not self.chosen

    def takes(self, path: bytes) -> bool:
        text = os.fsdecode(path)
        named = text == self.prefix if self.exact else text.startswith(self.prefix)
        return named and (not self.chosen or self.chosen.passes(text))

    def takes_entry(self, path: bytes, entry: Entry) -> bool:
        """Whether an entry is taken; a folder is where everything below it would be."""
        return self.everything or self.takes(path + b"/" if entry.kind == DIRECTORY else path)

    def reaches(self, folder: bytes) -> bool:
        """Whether any file below a folder can be selected. The folder's path ends in `/`."""
        text = os.fsdecode(folder)
        near = text.startswith(self.prefix) or self.prefix.startswith(text)
        return near and not self.chosen.excludes(text[:-1], True)

    def unmatched(self, trees: Iterable[Digest], read: Callable[[Digest], bytes]) -> tuple[str, ...]:
        """The globs that match nothing in any of these trees.

        Cost: a walk of the trees, until each glob has matched.
        """
        noting = NotingFilter(self.chosen.include, self.chosen.exclude)
        for path, entry in chain.from_iterable(walk(tree, read) for tree in trees) if self.chosen else ():
            noting.note(os.fsdecode(path), entry.kind == DIRECTORY)
            if not noting.unmatched:
                break
        return noting.unmatched


EVERYTHING = Selection()


def select(tree: Digest, read: Callable[[Digest], bytes], selection: Selection) -> Iterator[tuple[bytes, Entry]]:
    """(path, entry) of the selected files and folders. Raises NotFound if the selection matches nothing."""
    found = selection.everything
    for path, entry in walk(tree, read, wanted=selection.reaches):
        if selection.takes_entry(path, entry):
            found = True
            yield path, entry
    if not found:
        raise nothing_in(selection)


def nothing_in(selection: Selection) -> NotFound:
    what = f"path prefix '{printable(selection.prefix)}'" if selection.prefix else "selection"
    return NotFound(f"no file matches the {what}", hint="`artstore ls -r` with the same version lists what there is")
