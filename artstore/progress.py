"""Progress of a long operation: its current step, how many items and bytes are done, and of how many."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple


class Expected(NamedTuple):
    """What a step has to do. None for what isn't known."""

    items: int | None = None
    bytes: int | None = None


LookAhead = Callable[[float], Expected]
"""Finds out what a step has to do, given the seconds that it has taken."""


class Monitor:
    """Counts items and bytes, and prints nothing; a progress bar overrides `changed`. Any thread may call `advance`."""

    def __init__(self) -> None:
        self.start("")

    def start(self, step: str, noun: str = "file") -> None:
        """Begin a step, of which it isn't known how much there is to do. `noun` is what an item is."""
        self.step, self.noun = step, noun
        self.expect()

    def expect(self, items: int | None = None, size: int | None = None) -> None:
        """Count from zero: from here on, the step has this number of items and bytes to do."""
        self.items = self.bytes = 0
        self.expected = Expected(items, size)
        self.look_ahead: LookAhead | None = None

    def expect_later(self, look_ahead: LookAhead) -> None:
        """How to find out what the step has to do, for a progress bar that is shown: only then is it worth the time."""
        self.look_ahead = look_ahead

    def advance(self, items: int = 0, size: int = 0) -> None:
        """Count what was done. Call it for some files at once, or for each piece of a large one."""
        self.items += items
        self.bytes += size
        self.changed()

    def waiting(self, reason: str = "") -> AbstractContextManager[object]:
        """Surround a block that may take long without a report, such as a sync. `reason` is shown meanwhile."""
        return nullcontext()

    def changed(self) -> None:
        """Called after each change of the step or the counts."""
