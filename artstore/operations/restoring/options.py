"""How a version's files are put into a folder: what the caller chose, as one value."""

from typing import Literal, NamedTuple, get_args

from artstore.domain.selection import EVERYTHING, Selection
from artstore.errors import InvalidValue
from artstore.progress import Monitor

Link = Literal["copy", "hardlink", "symlink"]


class Restore(NamedTuple):
    """The options of a restore. Made by whoever asks for it, and passed on whole."""

    selection: Selection = EVERYTHING
    link: Link = "copy"
    """how files of 1 MiB and more get there; small ones are copied out of packs"""
    force: bool = True
    """overwrite and remove files whose content no version here holds"""
    delete: bool = False
    """remove what is in the folder and not in the version"""
    allow_missing_references: bool = False
    """leave out references whose bytes are gone; else they are an error"""
    monitor: Monitor | None = None

    def check(self) -> None:
        """Raises InvalidValue for options that can't be, or don't go together."""
        if self.link not in get_args(Link):
            raise InvalidValue(f"link '{self.link}' is not one of {', '.join(get_args(Link))}")
        if self.delete and not self.selection.everything:
            raise InvalidValue("only a whole version can tell what else is to be deleted", hint="get all of it")


PLAIN = Restore()
