"""Samples of the machine on which a run ran, as charts draw them: CPU, memory, disk, network and graphics cards."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from artstore.api.surroundings.samples import EVENTS
from artstore.domain.names import printable
from artstore.domain.wording import count
from artstore.errors import ArtstoreError
from artstore.web.curves import SECONDS, Curve, number_of
from artstore.web.render import repository_of
from artstore.web.sources import RunFiles, StoredFile, run_in

_BYTES = 16 << 20
"""The most bytes of samples that are read: more than a week of them."""
_LINE = 256 << 10
"""The most bytes of one sample."""
_METRICS = 200
"""The most metrics of the machine that are drawn: the first that were sampled."""
_LONGEST = 1e9
"""Seconds that no run takes."""


def samples(request: Request) -> Response:
    """Samples of a run's machine as JSON, in the shape of `/history`: each metric over the seconds of the run."""
    run = run_in(request)
    file = RunFiles(repository_of(request), run).find(EVENTS)
    recording = _Recording()
    if file is not None:
        recording.read(file)
    metrics = {name: curve.plain() for name, curve in sorted(recording.curves.items())}
    error = " ".join(recording.notes()) or None
    return JSONResponse(
        [{"run": str(run.path), "name": run.name, "label": run.name, "metrics": metrics, "error": error}]
    )


class _Recording:
    """The samples of a run, which may be anything."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self._before = self._last = 0.0
        """the seconds of the run before it was continued, and those of this process up to the last sample"""
        self._began: float | None = None
        """when the process began"""
        self._unread = self._left_out = 0
        self._notes: list[str] = []

    def read(self, file: StoredFile) -> None:
        """Read a file of samples. What can't be read is noted."""
        try:
            with file.open() as opened:
                for line in _lines(opened):
                    self._add(line)
        except ArtstoreError as error:
            self._notes.append(f"{error}.")
        if file.size > _BYTES:
            self._notes.append(f"Of {EVENTS} the first {_BYTES >> 20} MiB are shown.")

    def notes(self) -> list[str]:
        """What is not drawn, in sentences."""
        notes = list(self._notes)
        if self._unread:
            notes.append(f"{count(self._unread, 'line')} of {EVENTS} can't be read.")
        if self._left_out:
            notes.append(f"The first {_METRICS:,} metrics are shown.")
        return notes

    def _add(self, line: bytes) -> None:
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = {}
        told = told if isinstance(told, dict) else {}
        runtime, now = (number_of(name, told.get(f"_{name}")) for name in ("runtime", "timestamp"))
        if runtime is None or not 0 <= runtime < _LONGEST:
            self._unread += 1
            return
        place = self._place(runtime, now)
        for name, value in told.items():
            number, name = number_of(name, value), printable(name)
            if number is None:
                continue
            if name not in self.curves and len(self.curves) >= _METRICS:
                self._left_out += 1
                continue
            self.curves.setdefault(name, Curve(SECONDS)).add(place, number)

    def _place(self, runtime: float, now: float | None) -> float:
        """The seconds of the run at a sample. Each process that continues a run counts from 0 again."""
        began = None if now is None else now - runtime
        other = began is not None and self._began is not None and abs(began - self._began) > 1
        if other or runtime < self._last:
            self._before += self._last
        self._began, self._last = began, runtime
        return self._before + runtime


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The whole lines up to the bound. The last one may be being written; a line that is too long isn't a sample."""
    read = 0
    while read < _BYTES and (line := file.readline(_LINE)):
        read += len(line)
        if line.endswith(b"\n"):
            yield line
        elif len(line) == _LINE:
            yield b""
