"""The page of the media that a run logged: a panel for each key, at one step, and charts of tables."""

import os
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from artstore.api.plots.charts import RecordedChart, recorded_charts
from artstore.api.tables.file import read_table
from artstore.domain.digest import is_hex
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.wording import count
from artstore.errors import ArtstoreError
from artstore.repository import Repository
from artstore.web.drawing import over_steps
from artstore.web.media import Media, Shown, items_of, media_in
from artstore.web.plots import ROWS_OF_CHART, drawn
from artstore.web.previews import Grid, first_rows
from artstore.web.render import Rows, number_in, page, page_of, repository_of, run_url, text_in
from artstore.web.sources import RunFiles, Source, StoredFile, VersionFiles, run_in

_PANELS = 20
"""Panels on a page."""
_OBJECTS = 12
"""Media of a list that a panel shows on the page of all keys."""
_TABLE = 10
"""Rows of a table in a panel."""
_COLUMNS = 20
_KEYS = 10_000
"""The most keys of media that are found."""
_MEDIA = b'"_type"'
"""What the JSON of a row with media contains."""
_SAMPLES = 60
"""The most steps of a histogram that are drawn beside each other."""


class Found:
    """The media that a run logged under one key, of which one step's are kept."""

    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self.first = self.last = 0
        self.count = 0
        self.step: int | None = None
        """the last step up to the one that is wanted"""
        self.value: Any = None
        self.before: int | None = None
        self.after: int | None = None
        self.samples: list[tuple[int, Any]] = []
        """histograms at equal distances of steps, thinned out as they are added"""
        self._every = 1

    def add(self, step: int, value: Any) -> None:
        """Add what was logged at a step."""
        self.first = step if not self.count else self.first
        if isinstance(value, dict) and value.get("_type") == "histogram" and self.count % self._every == 0:
            self.samples.append((step, value))
            if len(self.samples) > _SAMPLES:
                self.samples, self._every = self.samples[::2], self._every * 2
        self.count += 1
        self.last = step
        if self.step is None or self._wanted is None or step <= self._wanted:
            self.before, self.step, self.value = self.step if step != self.step else self.before, step, value
        elif self.after is None:
            self.after = step


class Panel(NamedTuple):
    """The media under one key at one step."""

    key: str
    title: str
    address: str
    first: int
    last: int
    steps: int
    step: int | None
    before: int | None
    after: int | None
    objects: Rows
    total: int
    heat: Markup | None
    chart: Markup | None


class ShownTable(NamedTuple):
    """The beginning of a table in a panel."""

    grid: Grid | None
    address: str
    size: str
    note: str


def media(request: Request) -> Response:
    """The page of a run's media: all keys with their last step, or one with the step that is asked for."""
    repository, run, key = repository_of(request), run_in(request), text_in(request, "key")
    wanted = number_in(request, "step") if text_in(request, "step") else None
    found, error = _found(repository, run, key, wanted)
    keys = sorted(found)
    start = 0 if key else number_in(request, "start")
    shown = keys[start : start + _PANELS]
    charts = {chart.table: chart for chart in recorded_charts(run.config)}
    maker = _Maker(request, repository, run, whole=bool(key))
    return page(
        request, "run_media.html", f"Media of {run.path}", source=maker.source, key=key, error=error, number=len(keys),
        on_page=_PANELS,
        panels=Rows([maker.panel(each, found[each], charts.get(each)) for each in shown], start, len(keys) > start + _PANELS),
    )  # fmt: skip


def _found(repository: Repository, run: RunState, key: str, wanted: int | None) -> tuple[dict[str, Found], str | None]:
    """What a run logged under each key, or one. If the history can't be read, the error too.

    Cost: the rows with media are parsed, and the history's bytes are searched for them.
    """
    found, error = dict[str, Found](), None
    try:
        for row in repository.run_history(run, having=_MEDIA):
            for name, value in media_in(row):
                if (not key or name == key) and (name in found or len(found) < _KEYS):
                    found.setdefault(name, Found(wanted)).add(row["_step"], value)
    except ArtstoreError as failure:
        error = str(failure)
    for name, value in media_in(run.summary):
        if name not in found and (not key or name == key):
            found[name] = only = Found(None)
            only.value = value
    return found, error


class _Maker:
    """Makes the panels of one page."""

    def __init__(self, request: Request, repository: Repository, run: RunState, *, whole: bool) -> None:
        self._request, self._repository, self._run, self._whole = request, repository, run, whole
        self.source = RunFiles(repository, run)
        self._media = Media(self.source)

    def panel(self, key: str, found: Found, chart: RecordedChart | None) -> Panel:
        """The panel of a key."""
        items = items_of(found.value)
        if self._whole:
            rows = page_of(self._request, map(items.at, range(items.total)))
        else:
            rows = Rows([items.at(at) for at in range(min(items.total, _OBJECTS))], 0, items.total > _OBJECTS)
        picture = None if chart is None else self._chart(chart, found.value)
        query = urlencode({"key": key.encode("utf-8", "surrogatepass")})
        return Panel(
            key, key if chart is None else chart.texts.get("title") or chart.key,
            f"{run_url(self._run.path, 'run-media')}?{query}", found.first, found.last, found.count, found.step,
            found.before, found.after, rows._replace(shown=[self._shown(told) for told in rows.shown]), items.total,
            over_steps(found.samples), picture,
        )  # fmt: skip

    def _shown(self, told: Any) -> Shown:
        shown = self._media.shown(told)
        return shown._replace(told=self._table(told)) if shown.kind == "table" else shown

    def _table(self, told: dict[str, Any]) -> ShownTable:
        """The beginning of a table."""
        where = self._place(told)
        if where is None:
            return ShownTable(None, "", "", "The table is not here.")
        source, file = where
        nrows = told.get("nrows")
        size = f", {count(nrows, 'row')}" if isinstance(nrows, int) and not isinstance(nrows, bool) else ""
        try:
            grid = first_rows(source, file, _TABLE, _COLUMNS)
        except ArtstoreError as error:
            return ShownTable(None, source.address("files", file.path), "", f"The table can't be shown: {error}.")
        return ShownTable(grid, source.address("files", file.path), size, "")

    def _place(self, told: Any) -> tuple[Source, StoredFile] | None:
        """A table's file, in a version or among the run's files."""
        path, uri = told.get("path"), told.get("artifact_path")
        source: Source = self.source
        if isinstance(uri, str) and "://" in uri:
            parts = [os.fsdecode(unquote_to_bytes(part)) for part in uri.partition("://")[2].split("/")]
            try:
                if len(parts) > 1 and is_hex(parts[0]):
                    version = self._repository.lookup.of_id(parts.pop(0))
                else:
                    version = self._repository.find("/".join(parts[:3]))
                    parts = parts[3:]
            except (ArtstoreError, UnicodeError):
                return None
            source, path = VersionFiles(self._repository, version), "/".join(parts)
        file = source.find(path) if isinstance(path, str) else None
        return None if file is None else (source, file)

    def _chart(self, chart: RecordedChart, told: Any) -> Markup | None:
        """A chart of a table; None for one that isn't drawn."""
        where = self._place(told) if isinstance(told, dict) else None
        if where is None or chart.kind == "table":
            return None
        _, file = where
        try:
            head, rows = read_table(file.open, f"'{printable(file.path)}'")
            return drawn(chart, [str(name) for name in head.columns], list(islice(rows, ROWS_OF_CHART)))
        except ArtstoreError:
            return None  # the table below says why
