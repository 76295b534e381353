"""What a benchmark found, as values that go to a JSON file and come back from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Run


@dataclass
class Timed:
    """One command of a case, with all its runs: on which workload, of how many files."""

    label: str
    command: str
    files: int
    workload: str
    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.runs)


@dataclass
class Figure:
    """A figure beside the time, with its bar: at most `limit`, or at least it."""

    label: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class CaseResult:
    """A case as measured: the command that was judged, the floor beside it, and a part that is taken off it once."""

    name: str
    workload: str
    limit: float | None
    per_file: bool
    top: Timed
    floor: Timed | None = None
    plus: Timed | None = None
    figures: list[Figure] = field(default_factory=list)
    error: str = ""

    @property
    def bar(self) -> str:
        if self.limit is None or self.floor is None:
            return ""
        plus = f" + {self.plus.label}" if self.plus else ""
        per_file = f" of `{self.floor.workload}`, per file" if self.per_file else ""
        return f"≤ {self.limit:g} × {self.floor.label}{per_file}{plus}"

    @property
    def ratio(self) -> float | None:
        """Of the medians."""
        if not self.floor or not self.floor.runs or not self.top.runs:
            return None
        return self._ratio(self.top.seconds, self.floor.seconds, self.plus.seconds if self.plus else 0.0)

    @property
    def ratio_by_pairs(self) -> float | None:
        """The median of the ratios of neighbours in time."""
        if not self.floor or not self.floor.runs or not self.top.runs:
            return None
        pluses = self.plus.runs if self.plus else [None] * len(self.top.runs)
        runs = zip(self.top.runs, self.floor.runs, pluses, strict=False)
        return median(
            self._ratio(top.seconds, floor.seconds, plus.seconds if plus else 0.0) for top, floor, plus in runs
        )

    @property
    def has_bar(self) -> bool:
        return self.limit is not None or bool(self.figures)

    @property
    def met(self) -> bool:
        if self.error or not all(figure.met for figure in self.figures):
            return False
        return self.limit is None or (self.ratio is not None and self.ratio <= self.limit)

    def _ratio(self, top: float, floor: float, plus: float) -> float:
        assert self.floor
        ratio = (top - plus) / floor
        return ratio * self.floor.files / self.top.files if self.per_file else ratio


@dataclass
class PeerResult:
    """One operation of one tool on one workload; `sync_runs` are the `sync -f` after it, if the tool does not sync."""

    workload: str
    peer: str
    operation: str
    command: str
    cold: bool = False
    runs: list[Run] = field(default_factory=list)
    sync_runs: list[Run] = field(default_factory=list)
    error: str = ""
    requests: int | None = None  # to a server, in the last run

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.runs)

    @property
    def synced_seconds(self) -> float | None:
        pairs = zip(self.runs, self.sync_runs, strict=False)
        return median(run.seconds + sync.seconds for run, sync in pairs) if self.sync_runs else None


@dataclass
class WritersResult:
    """Several processes saving one small version each, over and over."""

    name: str
    writers: int
    duration_seconds: float
    saves: int
    saves_per_second: float
    p50_seconds: float
    p95_seconds: float
    lost: int
    errors: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return self.lost == 0 and not self.errors and self.saves > 0


@dataclass
class Results:
    """Everything that one run of the benchmarks found, and where it ran."""

    environment: dict[str, str]
    cases: list[CaseResult] = field(default_factory=list)
    writers: list[WritersResult] = field(default_factory=list)
    peers: list[PeerResult] = field(default_factory=list)

    def write(self, path: Path) -> None:
        data = asdict(self)
        for case, values in zip(self.cases, data["cases"], strict=True):
            values.update(bar=case.bar, ratio=case.ratio, ratio_by_pairs=case.ratio_by_pairs, met=case.met)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Results:
    """What a file holds; nothing of one that `load` wrote."""
    data = json.loads(path.read_text())
    return Results(
        data["environment"],
        [_case(values) for values in data.get("cases", [])],
        [WritersResult(**values) for values in data.get("writers", [])],
        [_peer(values) for values in data.get("peers", [])],
    )


def _case(values: dict[str, Any]) -> CaseResult:
    kept = {key: values[key] for key in ("name", "workload", "limit", "per_file", "error")}
    kept.update({key: _timed(values[key]) for key in ("top", "floor", "plus") if values[key]})
    return CaseResult(**kept, figures=[Figure(**figure) for figure in values["figures"]])


def _timed(values: dict[str, Any]) -> Timed:
    return Timed(**{**values, "runs": _runs(values["runs"])})


def _peer(values: dict[str, Any]) -> PeerResult:
    return PeerResult(**{**values, "runs": _runs(values["runs"]), "sync_runs": _runs(values["sync_runs"])})


def _runs(values: list[dict[str, Any]]) -> list[Run]:
    return [Run(**run) for run in values]
