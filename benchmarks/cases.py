"""The cases: each is one bar, with the command that is judged, its floor, and the figures checked beside the time."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import sides
from benchmarks.sides import Probe, Side


@dataclass(frozen=True)
class Check:
    """A figure probed after each run of the judged command; the worst one counts."""

    label: str
    limit: float
    unit: str
    probe: Probe
    at_least: bool = False


@dataclass(frozen=True)
class Case:
    """`top` takes at most `limit` times as long as `floor`, plus `plus` once; on one workload unless told otherwise."""

    name: str
    workload: str
    top: Side
    limit: float | None = None
    floor: Side | None = None
    plus: Side | None = None
    floor_workload: str = ""  # another workload for the floor: then seconds per file are compared
    checks: tuple[Check, ...] = ()
    samples_memory: bool = False
    short: bool = False  # so short that more runs are wanted


# A save of something unchanged still opens a transaction; pages, not bytes, are what is counted.
NOTHING_WRITTEN = Check("written", 0.064, "MiB", sides.written_mib)
NOTHING_READ = Check("read beyond a start", 0.05, "× payload", sides.read_share_of_payload)
SIZE = Check("store size", 1.03, "× unique payload", sides.size_over_payload)
SIZE_TINY = Check("store over payload", 130, "bytes a file", sides.bytes_over_payload_per_file)
MEMORY = Check("peak RssAnon", 600, "MB", sides.anon_mb)
MEMORY_OVER_START = Check("peak RssAnon over start", 100, "MB", sides.anon_mb_over_start)

SAVES = [
    Case("save-small", "small", sides.SAVE, 1.0, sides.CP, checks=(SIZE,)),
    Case("save-big", "big", sides.SAVE, 1.3, sides.CP_SYNC),
    Case("save-shards", "shards", sides.SAVE, 1.3, sides.CP_SYNC),
    Case("save-images", "images", sides.SAVE, 1.3, sides.CP_SYNC),
    Case("save-flat", "flat", sides.SAVE, 1.0, sides.CP),
    Case(
        "save-flat-one",
        "flat",
        sides.SAVE_ONE_CHANGED,
        1.5,
        sides.SAVE_AGAIN,
        checks=(Check("written", 1, "MiB", sides.written_mib),),
    ),
    Case("resave-small", "small", sides.SAVE_AGAIN, 2.5, sides.WALK, checks=(NOTHING_WRITTEN, NOTHING_READ)),
    Case("resave-big", "big", sides.SAVE_AGAIN, 3, sides.START, checks=(NOTHING_WRITTEN, NOTHING_READ), short=True),
    Case("save-small-v2", "small", sides.SAVE_NEXT, 1.5, sides.SAVE_AGAIN),
]

DOWNLOADS = [
    Case("get-small", "small", sides.DOWNLOAD, 1.25, sides.CP),
    Case("get-small-again", "small", sides.DOWNLOAD_AGAIN, 2.5, sides.WALK_DOWNLOADED),
    Case("get-big", "big", sides.DOWNLOAD, 1.3, sides.CP),
    Case("get-big-hardlink", "big", sides.DOWNLOAD_LINK, 3, sides.START, short=True),
]

UPKEEP = [
    Case("verify-big", "big", sides.VERIFY, 1.25, sides.HASH, plus=sides.START),
    Case("fsck-big", "big", sides.FSCK, 1.25, sides.HASH, plus=sides.START),
    Case(
        "gc-small",
        "small",
        sides.gc(0.6),
        1.0,
        sides.CP,
        checks=(Check("freed", 0.95, "× dead bytes", sides.freed_share(0.6), at_least=True),),
    ),
]

STARTS = [
    Case("start-cli", "start", sides.START, 1.4, sides.IMPORT_CLICK, short=True),
    Case("start-import", "start", sides.IMPORT_ARTSTORE, 1.1, sides.IMPORT_CLICK, short=True),
]

SIZES = [
    Case("size-tiny", "tiny", sides.SAVE, checks=(SIZE_TINY,)),
    Case("size-medium", "medium", sides.SAVE, checks=(SIZE,)),
    Case("size-mixed", "mixed", sides.SAVE, checks=(SIZE,)),
]

# `{run}` makes a new alias, a new collection each time; `{middle}` is the number of one in the middle.
IN_A_CROWD = {
    "collections": {
        "ls": ("ls",),
        "show": ("show", "c{middle:04d}:v0"),
        "alias": ("alias", "c{middle:04d}:v0", "run-{run}"),
        "cat": ("cat", "c{middle:04d}:v0", "d0000/f0000050.bin"),
    },
    "versions": {
        "ls": ("ls", "data"),
        "show": ("show", "data:v{middle}"),
        "alias": ("alias", "data:v{middle}", "run-{run}"),
        "cat": ("cat", "data:v{middle}", "value.txt"),
    },
}

LATENCIES = [
    Case(f"{name}-in-{crowd}", crowd, sides.crowded(name, *args), 3, sides.START, short=True)
    for crowd, commands in IN_A_CROWD.items()
    for name, args in commands.items()
]
# It prints 10,000 lines; reported without a bar.
LATENCIES.append(
    Case("log-in-versions", "versions", sides.crowded("log", "log", "data"), floor=sides.START, short=True)
)

FIRST_SAVE = sides.save_hundred("first save", "data", empty=True)
CROWDED_SAVES = [
    Case("save-into-versions", "versions", sides.save_hundred("save of 100", "data"), 1.5, FIRST_SAVE, short=True),
    Case("save-into-saves", "collections", sides.save_hundred("save of 100", "run-{run}"), 1.5, FIRST_SAVE, short=True),
]

GROWTH = [
    Case(
        f"growth-{name}",
        "million",
        side,
        1.3,
        side,
        floor_workload="tiny",
        checks=(MEMORY,),
        samples_memory=True,
    )
    for name, side in {
        "save": sides.SAVE,
        "resave": sides.SAVE_AGAIN,
        "get": sides.DOWNLOAD,
        "ls": sides.LIST,
        "diff": sides.DIFF,
        "gc": sides.gc(0.01),
    }.items()
]

MEMORY_OF_BIG = [
    Case(f"memory-{name}-big", "big", side, checks=(MEMORY_OVER_START,), samples_memory=True)
    for name, side in {"save": sides.SAVE, "get": sides.DOWNLOAD, "fsck": sides.FSCK}.items()
]

# Many small files first, large ones last: only the large ones' output is removed between runs.
ORDER = ["start", "small", "flat", "tiny", "medium", "mixed"]
ORDER += ["versions", "collections", "million", "big", "shards", "images"]
CASES = sorted(
    STARTS + SAVES + DOWNLOADS + UPKEEP + SIZES + LATENCIES + CROWDED_SAVES + GROWTH + MEMORY_OF_BIG,
    key=lambda case: ORDER.index(case.workload),
)
