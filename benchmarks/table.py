"""Writes the tables and plots of benchmarks/README.md from raw JSON: `python -m benchmarks.table results/A.json …`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plots
from benchmarks.peers import OPERATIONS, PEERS
from benchmarks.place import HERE
from benchmarks.results import CaseResult, Figure, PeerResult, Results, Timed, WritersResult, read

BEGIN, END = "<!-- results begin: written by benchmarks/table.py -->", "<!-- results end -->"
PLOTS = HERE / "results"
NOT_RUN = "<!-- shell, not run here: it needs the tool and a workload -->"
"""What the test that runs documents reads above a block that it can't run."""


def main() -> None:
    paths = [Path(path) for path in sys.argv[1:]]
    if not paths:
        sys.exit("usage: python -m benchmarks.table RESULTS.json …")
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{report(paths)}\n{END}{after}")


@dataclass(frozen=True)
class Table:
    """The tools beside each other on one workload, in one run."""

    workload: str
    cold: bool
    scale: float
    rows: list[PeerResult]

    @property
    def title(self) -> str:
        size = "" if self.scale == 1 else f" at {self.scale:g} of its size"
        return f"{self.workload}{size}, {'cold' if self.cold else 'warm'} page cache"

    @property
    def plot(self) -> str:
        return f"peers-{self.workload}{'-cold' if self.cold else ''}.png"


def report(paths: list[Path]) -> str:
    """All sections, from the newest result of each kind."""
    files = [(path.name, read(path)) for path in paths]
    files.sort(key=lambda file: started(*file))
    found = [results for _, results in files]
    cases = list({case.name: case for one in found for case in one.cases}.values())
    writers = list({writer.name: writer for one in found for writer in one.writers}.values())
    tables = newest_tables(found)
    shown = {id(one) for one in [*cases, *writers, *(row for table in tables for row in table.rows)]}
    sections = [_sources([(name, one) for name, one in files if any(id(result) in shown for result in _all(one))])]
    if cases:
        plots.plot_bars(cases, PLOTS / "bars.png")
        sections.append(_bars(cases))
    if writers:
        sections.append(_writers(writers))
    for table in tables:
        plots.plot_peers(table.rows, PLOTS / table.plot, table.title)
        sections.append(_peers(table))
    if tables:
        sections.append(_lines([row for table in tables for row in table.rows]))
    return "\n\n".join(sections)


def started(name: str, results: Results) -> str:
    """When a run began; a file that does not say so has the day in its name."""
    return results.environment.get("started", name[:10])


def newest_tables(found: list[Results]) -> list[Table]:
    """Of each workload the last run, whole: seconds of two runs don't stand in one table."""
    tables = {}
    for one in found:
        rows = [peer for peer in one.peers if peer.operation in OPERATIONS]
        for workload, cold in dict.fromkeys((peer.workload, peer.cold) for peer in rows):
            own = [peer for peer in rows if (peer.workload, peer.cold) == (workload, cold)]
            tables[workload, cold] = Table(workload, cold, float(one.environment["scale"]), own)
    return list(tables.values())


def _all(results: Results) -> list[CaseResult | WritersResult | PeerResult]:
    return [*results.cases, *results.writers, *results.peers]


def _sources(files: list[tuple[str, Results]]) -> str:
    lines = [
        "## Figures",
        "",
        "These runs gave the figures. Each file has every time, every command and the load average.",
        "",
        "| file in `results/` | started | commit | scale | rounds | machine and versions |",
        "|---|---|---|---|---|---|",
    ]
    for name, results in files:
        facts = dict(results.environment)
        first = [facts.pop(key, "") for key in ("started", "commit", "scale", "rounds")]
        rest = "; ".join(_fact(key, value) for key, value in facts.items() if value)
        lines.append(_row(f"`{name}`", *first, rest))
    return "\n".join(lines)


def _fact(key: str, value: str) -> str:
    """Versions often begin with the tool's name."""
    return value if value.lower().startswith(key) else f"{key}: {value}"


def _bars(cases: list[CaseResult]) -> str:
    rows = [row for case in cases for row in _case_rows(case)]
    judged = [case for case in cases if case.has_bar]
    lines = [
        f"### Bars: {sum(case.met for case in judged)} of {len(judged)} cases met",
        "",
        "Seconds are medians; for `growth-*` microseconds per file. `ratio` is the ratio of the medians, `by pairs` the",
        "median of the ratios of each pair of runs.",
        "",
        "![Each case as a share of its bar](results/bars.png)",
        "",
        "| case | measured | workload | median | floor | ratio | by pairs | bar | met |",
        "|---|---|---|---:|---:|---:|---:|---|---|",
    ]
    return "\n".join([*lines, *rows])


def _case_rows(case: CaseResult) -> list[str]:
    if case.error or not case.top.runs:
        return [_row(case.name, case.top.label, case.workload, "", "", "", "", case.bar, "failed")]
    figures = [_time(case, case.top), "", "", "", "", ""]
    if case.floor and case.ratio is not None and case.ratio_by_pairs is not None:
        met = _yes(case.ratio <= case.limit) if case.limit else ""
        bar = case.bar or f"(× {case.floor.label})"
        figures[1:] = [_time(case, case.floor), f"{case.ratio:.2f}", f"{case.ratio_by_pairs:.2f}", bar, met]
    return [_row(case.name, case.top.label, case.workload, *figures)] + [
        _figure_row(case.name, case.workload, figure) for figure in case.figures
    ]


def _figure_row(name: str, workload: str, figure: Figure) -> str:
    sign = "≥" if figure.at_least else "≤"
    value, bar = f"{figure.value:.3g} {figure.unit}", f"{sign} {figure.limit:g} {figure.unit}"
    return _row(name, figure.label, workload, value, "", "", "", bar, _yes(figure.met))


def _time(case: CaseResult, timed: Timed | None) -> str:
    if timed is None:
        return ""
    return f"{timed.seconds / timed.files * 1e6:.1f} µs" if case.per_file else f"{plots.rounded(timed.seconds)} s"


def _writers(writers: list[WritersResult]) -> str:
    lines = [
        "### Eight processes saving one small version each, over and over",
        "",
        "| case | saves | saves/s | p50 | p95 | lost | errors |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in writers:
        times = f"{one.p50_seconds:.3f} s", f"{one.p95_seconds:.3f} s"
        lines.append(_row(one.name, one.saves, f"{one.saves_per_second:.1f}", *times, one.lost, len(one.errors)))
    return "\n".join(lines)


def _peers(table: Table) -> str:
    lines = [
        f"### Compared with other tools: {table.title}",
        "",
        f"![{table.workload}: seconds of each tool]({PLOTS.name}/{table.plot})",
        "",
        _row("seconds", *OPERATIONS),
        "|---|" + "---:|" * len(OPERATIONS),
    ]
    for name in dict.fromkeys(peer.peer for peer in table.rows):
        by_operation = {peer.operation: peer for peer in table.rows if peer.peer == name}
        ordered = [by_operation.get(operation) for operation in OPERATIONS]
        lines.append(_row(name, *(_seconds(peer) for peer in ordered)))
        if any(peer and peer.sync_runs for peer in ordered):
            lines.append(_row(f"{name}, then `sync -f`", *(_synced(peer) for peer in ordered)))
    return "\n".join(lines)


def _seconds(peer: PeerResult | None) -> str:
    if peer is None:
        return "—"
    return plots.rounded(peer.seconds) if peer.runs else "failed"


def _synced(peer: PeerResult | None) -> str:
    return plots.rounded(peer.synced_seconds) if peer and peer.synced_seconds is not None else ""


def _lines(peers: list[PeerResult]) -> str:
    """The command lines as they were run, with what was run before, untimed."""
    lines = ["### Command lines", ""]
    for peer in PEERS:
        own = {one.operation: one.command for one in peers if one.peer == peer.name}
        if own:
            environment = " ".join(f"{key}={value}" for key, value in peer.env.items())
            before = {
                "environment": f"export {environment}" if environment else "",
                "untimed before": peer.prepare,
                "untimed before the restore": peer.prepare_restore,
            }
            shown = {**{key: line for key, line in before.items() if line not in ("", "true")}, **own}
            steps = "\n".join(f"# {key}\n{line}" for key, line in shown.items())
            lines += [f"**{peer.name}**", "", f"{NOT_RUN}\n```text\n{steps}\n```", ""]
    return "\n".join(lines).rstrip()


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"


if __name__ == "__main__":
    main()
