"""Progress of a long operation: its current step, and how many items and bytes are done."""


class Monitor:
    """Counts items and bytes, and prints nothing; the command line's progress bar overrides `changed`.

    Call `advance` once for each folder or large file.
    """

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
        """Called after each change of the step or the counts."""
