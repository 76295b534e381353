"""The plots: each case as a share of its bar, and each tool's seconds per operation, on logarithmic axes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.peers import OPERATIONS
from benchmarks.results import CaseResult, PeerResult

OURS, THEIRS, MISSED = "#1f6fb4", "#9aa5b1", "#c8452f"
SYNC = "#d5dae0"


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


def plot_peers(peers: list[PeerResult], path: Path) -> None:
    """One panel an operation, the fastest tool first; the pale end of a bar is the `sync -f` that a tool leaves out."""
    pyplot = _pyplot()
    panels = [[peer for peer in peers if peer.operation == operation and peer.runs] for operation in OPERATIONS]
    shown = [(operation, panel) for operation, panel in zip(OPERATIONS, panels, strict=True) if panel]
    if not shown:
        return
    heights = [len(panel) for _, panel in shown]
    figure, all_axes = pyplot.subplots(
        len(shown),
        1,
        figsize=(9, 0.9 + 0.75 * len(shown) + 0.24 * sum(heights)),
        sharex=True,
        squeeze=False,
        layout="constrained",
        height_ratios=heights,
    )
    for axes, (operation, panel) in zip(all_axes[:, 0], shown, strict=True):
        _panel(axes, operation, panel)
    all_axes[-1, 0].set_xlabel("seconds (logarithmic); pale: sync -f after a tool that does not sync")
    figure.suptitle(f"{peers[0].workload}{', cold page cache' if peers[0].cold else ''}")
    _finish(pyplot, figure, all_axes[-1, 0], path)


def _panel(axes: Any, operation: str, panel: list[PeerResult]) -> None:
    ordered = sorted(panel, key=lambda peer: peer.synced_seconds or peer.seconds)
    names = [peer.peer for peer in ordered]
    totals = [peer.synced_seconds or peer.seconds for peer in ordered]
    bars = axes.barh(names, totals, color=SYNC)
    axes.barh(names, [peer.seconds for peer in ordered], color=[_colour(peer) for peer in ordered])
    axes.bar_label(bars, [_label(peer) for peer in ordered], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_title(operation, loc="left", fontsize=10)
    axes.margins(x=0.2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _colour(peer: PeerResult) -> str:
    return OURS if peer.peer == "artstore" else THEIRS


def _label(peer: PeerResult) -> str:
    if peer.synced_seconds is None:
        return rounded(peer.seconds)
    return f"{rounded(peer.seconds)}, synced {rounded(peer.synced_seconds)}"


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
