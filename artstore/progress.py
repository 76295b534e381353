"""The monitor of long work: what step it is at, and how many items and bytes are done."""


class Monitor:
    """Counts and keeps silent; the command line's bar overrides `changed`. Call it per folder or per large file."""

    def __init__(self) -> None:
        self.step = ""
        self.items = 0
        self.bytes = 0

    def start(self, step: str) -> None:
        self.step, self.items, self.bytes = step, 0, 0
        self.changed()

    def advance(self, items: int = 0, size: int = 0) -> None:
        self.items += items
        self.bytes += size
        self.changed()

    def changed(self) -> None:
        """Called after every change of the counts."""
