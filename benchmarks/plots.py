"""The plots: each case as a share of its bar, and each tool's seconds per operation, on logarithmic axes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.results import CaseResult, PeerResult

OURS, THEIRS, MISSED = "#1f6fb4", "#9aa5b1", "#c8452f"
SYNC, GRID, PAPER = "#cdd3da", "#e3e6ea", "#fbfcfd"
PLOTTED = ("save", "re-save", "save v2", "restore")


def plot_bars(cases: list[CaseResult], path: Path) -> None:
    """Ratio divided by its limit: left of 1 the bar is met."""
    shares = [(case.name, case.ratio / case.limit) for case in cases if case.ratio and case.limit]
    if not shares:
        return
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.26 * len(shares)), layout="constrained")
    names, values = [name for name, _ in shares], [value for _, value in shares]
    colours = [OURS if value <= 1 else MISSED for value in values]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8)
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 1.5, max(1.0, *values) * 1.5)
    axes.invert_yaxis()
    axes.set_xlabel("measured ratio / its bar (left of the line: met)")
    _finish(pyplot, figure, axes, path)


def plot_peers(peers: list[PeerResult], path: Path, title: str) -> None:
    """A panel an operation, the fastest tool first; the pale end of a bar is the `sync -f` that a tool leaves out."""
    panels = [[peer for peer in peers if peer.operation == operation and peer.runs] for operation in PLOTTED]
    if not any(panels):
        return
    pyplot = _pyplot()
    height = 1.1 + 2 * (0.45 + 0.25 * max(map(len, panels)))
    figure, all_axes = pyplot.subplots(2, 2, sharex=True, figsize=(12.5, height), layout="constrained", facecolor=PAPER)
    for axes, operation, panel in zip(all_axes.flat, PLOTTED, panels, strict=True):
        _panel(axes, operation, panel)
    figure.suptitle(title, fontsize=13)
    figure.supxlabel(
        "seconds, logarithmic; the pale end, counted in, is the sync -f after a tool that does not sync", fontsize=10
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _panel(axes: Any, operation: str, panel: list[PeerResult]) -> None:
    ordered = sorted(panel, key=_total)
    places = range(len(ordered))
    totals = [_total(peer) for peer in ordered]
    bars = axes.barh(places, totals, color=SYNC)
    axes.barh(places, [peer.seconds for peer in ordered], color=[_colour(peer) for peer in ordered])
    axes.bar_label(bars, [rounded(total) for total in totals], padding=4, fontsize=10)
    axes.set_yticks(places, [peer.peer for peer in ordered], fontsize=10)
    for label, value, peer in zip(axes.get_yticklabels(), axes.texts, ordered, strict=True):
        if _ours(peer):
            label.set(color=OURS, fontweight="bold")
            value.set(color=OURS, fontweight="bold")
    axes.set(xscale="log", facecolor=PAPER, axisbelow=True)
    axes.set_title(operation, loc="left", fontsize=11, fontweight="bold")
    axes.margins(x=0.15, y=0.02)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(axis="x", color=GRID)
    axes.tick_params(which="both", length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _total(peer: PeerResult) -> float:
    """With the sync that makes up for the tool's own."""
    return peer.seconds if peer.synced_seconds is None else peer.synced_seconds


def _ours(peer: PeerResult) -> bool:
    return peer.peer == "artstore"


def _colour(peer: PeerResult) -> str:
    return OURS if _ours(peer) else THEIRS


def rounded(seconds: float) -> str:
    """Three digits that count are as many as a noisy machine can give."""
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:#.3g}" if seconds < 100 else f"{seconds:.0f}"


def _pyplot() -> Any:
    """matplotlib is wanted for the plots alone, so it is loaded here and by name: type checks run without it."""
    import_module("matplotlib").use("Agg")
    return import_module("matplotlib.pyplot")


def _finish(pyplot: Any, figure: Any, axes: Any, path: Path) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_formatter("{x:g}")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
