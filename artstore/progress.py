"""The monitor of long work: what step it is at, how many items and bytes, and which errors did not stop it."""


class Monitor:
    """Counts and keeps silent; the command line's bar overrides `changed`. Methods are cheap: call them per folder or
    per large file.
    """

    def __init__(self) -> None:
        self.step = ""
        self.items = 0
        self.bytes = 0
        self.total_bytes: int | None = None
        self.problems: list[str] = []

    def start(self, step: str, total_bytes: int | None = None) -> None:
        self.step, self.items, self.bytes, self.total_bytes = step, 0, 0, total_bytes
        self.changed()

    def advance(self, items: int = 0, size: int = 0) -> None:
        self.items += items
        self.bytes += size
        self.changed()

    def problem(self, message: str) -> None:
        """One thing went wrong and the work goes on; the caller says so at the end."""
        self.problems.append(message)

    def changed(self) -> None:
        """Called after every change of the counts."""
