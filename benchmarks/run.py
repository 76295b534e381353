"""Runs chosen benchmarks and writes what they found to a JSON file: `python -m benchmarks.run cases 'save-*'`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import writers
from benchmarks.cases import CASES
from benchmarks.compare import measure_case
from benchmarks.environment import describe
from benchmarks.place import HERE, Bench, Settings
from benchmarks.remote_cases import REMOTES
from benchmarks.remote_peers import PLACES, measure_remotes
from benchmarks.results import CaseResult, PeerResult, Results
from benchmarks.turns import measure_peers

ALL = [*CASES, *REMOTES]
PEER_WORKLOADS = ["small", "medium", "big"]
REMOTE_WORKLOADS = ["small", "quarter"]
WRITERS_SECONDS = 30.0


def main() -> None:
    options = _options()
    if options.what == "list":
        print("\n".join([*(case.name for case in ALL), *writers.CASES]))
        return
    peers = options.peers and options.peers.resolve()
    settings = Settings(options.work, options.scale, options.rounds, sys.executable, tool(options.artstore), peers)
    bench = Bench(settings)
    results = Results(describe(settings))
    path = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-{options.name or options.what}.json"
    try:
        if options.what == "cases":
            _run_cases(bench, results, path, options.chosen or ["*"])
        elif options.what == "remotes":
            _run_remotes(bench, results, path, options.chosen or REMOTE_WORKLOADS, options.place)
        else:
            _run_peers(bench, results, path, options.chosen or PEER_WORKLOADS, cold=options.cold)
    finally:
        bench.close()
    print(f"written: {path.relative_to(HERE.parent)}")


def _run_cases(bench: Bench, results: Results, path: Path, patterns: list[str]) -> None:
    """Results are written after each case, so that a run that is stopped leaves what it has found."""
    for case in ALL:
        if _chosen(case.name, patterns):
            results.cases.append(measure_case(bench, case))
            results.write(path)
            print(_line(results.cases[-1]), flush=True)
    for name in writers.CASES:
        if _chosen(name, patterns):
            seconds = max(1.0, WRITERS_SECONDS * bench.settings.scale)
            found = writers.run(bench.place("writers"), name, seconds)
            results.writers.append(found)
            results.write(path)
            print(f"{name:<28} {found.saves_per_second:.1f} saves/s, p95 {found.p95_seconds:.3f} s, lost {found.lost}")


def _run_peers(bench: Bench, results: Results, path: Path, names: list[str], *, cold: bool) -> None:
    for name in names:
        found = measure_peers(bench.place(name), bench.settings.rounds, cold=cold)
        results.peers.extend(found)
        results.write(path)
        _print_peers(found, name)


def _run_remotes(bench: Bench, results: Results, path: Path, names: list[str], places: list[str] | None) -> None:
    for name in names:
        for where in places or PLACES:
            found = measure_remotes(bench.place(name), where, bench.settings.rounds)
            results.peers.extend(found)
            results.write(path)
            _print_peers(found, f"{name} {where}")


def _print_peers(found: list[PeerResult], name: str) -> None:
    for peer in found:
        seconds = f"{peer.seconds:.3f} s" if peer.runs else peer.error or "not run"
        requests = f", {peer.requests} requests" if peer.requests is not None else ""
        print(f"{name:<8} {peer.peer:<22} {peer.operation:<16} {seconds}{requests}", flush=True)


def _chosen(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _line(result: CaseResult) -> str:
    if result.error:
        return f"{result.name:<28} failed: {result.error}"
    parts = [f"{result.top.seconds:.3f} s"]
    if result.ratio is not None:
        limit = f" (bar {result.limit:g})" if result.limit else ""
        parts.append(f"{result.ratio:.2f} × {result.floor.label if result.floor else ''}{limit}")
    parts += [f"{figure.label} {figure.value:.3g} {figure.unit} (bar {figure.limit:g})" for figure in result.figures]
    verdict = ("met" if result.met else "missed") if result.has_bar else ""
    return f"{result.name:<28} {verdict:<6} {', '.join(parts)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("what", choices=("cases", "peers", "remotes", "list"))
    parser.add_argument("chosen", nargs="*", help="cases: patterns of names (all); else workloads")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads, for a short run (1.0)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "artstore-bench"), help="a new folder")
    parser.add_argument("--name", default="", help="of the result file, behind the date")
    parser.add_argument("--artstore", default="artstore", help="the command to measure")
    parser.add_argument("--peers", type=Path, help="the folder that benchmarks/peers.sh installed other tools into")
    parser.add_argument("--cold", action="store_true", help="peers: drop the page cache before each run (needs root)")
    parser.add_argument(
        "--place", action="append", choices=PLACES, help="remotes: where they lie; may be repeated (all)"
    )
    options = parser.parse_intermixed_args()  # options may stand between what is chosen
    if options.work.exists():
        parser.error(f"{options.work} exists; --work names a new folder, which is removed at the end")
    return options


def tool(name: str) -> str:
    """The full path of a tool: beside this Python if it is there, else from PATH, else the bare name."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return os.path.abspath(found) if (found := shutil.which(name, path=path)) else name


if __name__ == "__main__":
    main()
