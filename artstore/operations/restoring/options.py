"""The options of a restore, as one value."""

from typing import Literal, NamedTuple, get_args

from artstore.domain.selection import EVERYTHING, Selection
from artstore.errors import InvalidValue
from artstore.progress import Monitor

Link = Literal["copy", "hardlink", "symlink"]


class Restore(NamedTuple):
    """The options of a restore."""

    selection: Selection = EVERYTHING
    link: Link = "copy"
    """how to make files of 1 MiB and more; smaller ones are always copied, out of packs"""
    force: bool = True
    """overwrite and remove files whose content no version here holds"""
    delete: bool = False
    """remove files that are in the folder and not in the version"""
    allow_missing_references: bool = False
    """leave out references whose bytes are gone; otherwise they are an error"""
    monitor: Monitor | None = None

    def check(self) -> None:
        """Raise InvalidValue for an unknown `link`, or if `delete` is used with a selection."""
        if self.link not in get_args(Link):
            raise InvalidValue(f"link '{self.link}' is not one of {', '.join(get_args(Link))}")
        if self.delete and not self.selection.everything:
            raise InvalidValue("other files can only be deleted when a whole version is restored", hint="get all of it")


PLAIN = Restore()
