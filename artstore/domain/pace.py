"""The text of a progress line: what is done, how much of it, how fast, and how long the rest will take."""

from collections import deque
from typing import Final

from artstore.domain.wording import count, cut, human
from artstore.progress import Monitor

_RECENT: Final = 5.0
"""Seconds over which the speed is measured."""
_SMALL: Final = 16 << 10
"""Bytes. If files are smaller than this on average, the time depends on their number: then files are counted."""
_LONGEST: Final = 34
"""Columns of the step's name, so that there is room for the numbers."""
_GAP: Final = "  "


class Pace:
    """How fast a monitor's step goes. Make one when the step begins."""

    def __init__(self, monitor: Monitor, now: float) -> None:
        self._monitor = monitor
        self._samples = deque([(now, monitor.items, monitor.bytes)])
        self._widths = [0, 0]

    def fraction(self) -> float | None:
        """How much of the step is done, from 0 to 1. None if it isn't known."""
        total = self._total()
        return min(max(self._done() / total, 0.0), 1.0) if total else None

    def text(self, now: float) -> str:
        """The progress line, such as `saving data   61%  1.2/2.0 GiB  340.1 MiB/s  0:02 left`.

        A column never gets narrower, so the next one doesn't move to and fro.
        """
        rate, fraction = self._rate(now), self.fraction()
        columns = [self._amount(), "" if rate is None else f"{self._worded(rate)}/s"]
        self._widths = [max(width, len(text)) for width, text in zip(self._widths, columns, strict=True)]
        columns = [text.rjust(width) for width, text in zip(self._widths, columns, strict=True)]
        percent = "" if fraction is None else f"{int(100 * fraction):3}%"
        left = self._left(rate)
        return _GAP.join(part for part in (cut(self._monitor.step, _LONGEST), percent, *columns, left) if part).rstrip()

    def _by_files(self) -> bool:
        """Whether files are the measure, not bytes."""
        items, size = self._monitor.expected
        if items is None and size is None:
            return not self._monitor.bytes
        return size is None or (items is not None and size < items * _SMALL)

    def _done(self) -> int:
        return self._monitor.items if self._by_files() else self._monitor.bytes

    def _total(self) -> int | None:
        return self._monitor.expected.items if self._by_files() else self._monitor.expected.bytes

    def _amount(self) -> str:
        """What is done, and of how much: `1,204/50,000 files`, `1.2/2.0 GiB`, `1,204 files, 1.2 GiB`."""
        monitor, total = self._monitor, self._total()
        if total is None:
            items = count(monitor.items, monitor.noun) if monitor.items else ""
            return ", ".join(part for part in (items, human(monitor.bytes) if monitor.bytes > 0 else "") if part)
        done = min(max(self._done(), 0), total)
        if self._by_files():
            whole = count(total, monitor.noun)
            return f"{done:>{len(whole.partition(' ')[0])},}/{whole}"
        return f"{of_unit(done, total):>{len(of_unit(total, total))}}/{human(total)}"

    def _rate(self, now: float) -> float | None:
        """What was done per second lately. None at the beginning."""
        while len(self._samples) > 1 and self._samples[1][0] <= now - _RECENT:
            self._samples.popleft()
        began, *before = self._samples[0]
        self._samples.append((now, self._monitor.items, self._monitor.bytes))
        done = self._done() - before[not self._by_files()]
        return max(0.0, done / (now - began)) if now > began and self._done() > 0 else None

    def _worded(self, rate: float) -> str:
        return count(int(rate), self._monitor.noun) if self._by_files() else human(int(rate))

    def _left(self, rate: float | None) -> str:
        total = self._total()
        if not total or not rate:
            return ""
        return f"{clock(max(0.0, (total - self._done()) / rate))} left"


def of_unit(size: int, total: int) -> str:
    """A number of bytes in the unit in which `human` writes the `total`, without the unit."""
    power = 0 if total < 1024 else min((total.bit_length() - 1) // 10, 5)
    return f"{size / 1024**power:.1f}" if power else str(size)


def clock(seconds: float) -> str:
    """A duration, as `0:02`, `12:34` or `1:23:45`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(monitor: Monitor, done: str, seconds: float) -> str:
    """What came of a step: `added model.bin: 2.0 GiB in 0:06, 340.1 MiB/s`."""
    amount = human(monitor.bytes) if monitor.bytes > 0 else count(monitor.items, monitor.noun) if monitor.items else ""
    rate = f", {human(int(monitor.bytes / seconds))}/s" if monitor.bytes > 0 and seconds else ""
    return f"{done}: {amount} in {clock(seconds)}{rate}" if amount else f"{done} in {clock(seconds)}"
