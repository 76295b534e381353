"""What is fuzzed: each decoder, with its seeds, the errors that it may raise, and what its inputs are like."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from artstore.domain.digest import plain_digest
from artstore.errors import ArtstoreError, Damage, DamagedLog, InvalidValue, UnsupportedFormat
from tests.guarantees.fuzz import decoders, packing, seeds
from tests.guarantees.fuzz.mutation import JSON, LINES, MSGPACK, Shape

FOUND = Path(__file__).with_name("found")
"""Inputs that were crashes once, in a folder for each target: `tests/guarantees/fuzz/test_fuzz.py` tries them again."""


class Target(NamedTuple):
    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    errors: type[ArtstoreError] | tuple[type[ArtstoreError], ...] = Damage
    """what the decoder may raise"""
    shape: Shape | None = None
    told: tuple[str, ...] = ()
    """words that inputs are made of"""
    most: int = 1024
    """bytes of an input"""

    def words(self) -> list[bytes]:
        return [word.encode("utf-8", "surrogatepass") for word in self.told]


def crash(target: Target, data: bytes) -> str | None:
    """What is wrong with how a target takes an input, and where; None when nothing is."""
    try:
        try:
            target.run(data)
        except target.errors as error:
            str(error).encode()  # it can be told
    except Exception as error:
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if "/artstore/" in frame.filename]
        place = f"{Path(at[-1].filename).name}:{at[-1].lineno}" if at else "its check"
        return f"{type(error).__name__} at {place}"
    return None


def keep(folder: Path, data: bytes) -> Path:
    path = folder / plain_digest(data).hex()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


LOG = (DamagedLog, UnsupportedFormat)
TARGETS: dict[str, Target] = {
    "codec": Target(decoders.fuzz_codec, seeds.codec, shape=MSGPACK),
    "json": Target(decoders.fuzz_json, seeds.entries, shape=JSON),
    "tree": Target(decoders.fuzz_tree, seeds.trees, shape=MSGPACK),
    "version": Target(decoders.fuzz_version, seeds.versions, shape=MSGPACK, most=300),
    "pack": Target(decoders.fuzz_pack, seeds.packs),
    "index": Target(decoders.fuzz_index, seeds.indexes),
    "segment": Target(packing.fuzz_segment, packing.segments),
    "cuts": Target(packing.fuzz_cuts, packing.files, (), told=packing.FILE_WORDS),
    "recipe": Target(packing.fuzz_recipe, packing.recipes, shape=MSGPACK),
    "delta": Target(packing.fuzz_delta, packing.deltas),
    "frames": Target(packing.fuzz_frames, packing.packs, most=2048),
    "entry": Target(decoders.fuzz_entry, seeds.entries, DamagedLog, JSON, seeds.ENTRY_WORDS, 2048),
    "collection": Target(decoders.fuzz_collection, lambda: seeds.lines(seeds.COLLECTION), LOG, LINES, seeds.LOG_WORDS, 8192),
    "run": Target(decoders.fuzz_run, lambda: seeds.lines(seeds.RUN), LOG, LINES, seeds.LOG_WORDS, 4096),
    "checkpoint": Target(decoders.fuzz_checkpoint, seeds.checkpoints, most=8192),
    "run-checkpoint": Target(decoders.fuzz_run_checkpoint, seeds.run_checkpoints, most=4096),
    "history": Target(decoders.fuzz_history, lambda: seeds.HISTORY, shape=LINES, told=("_step", "NaN", "-1"), most=300),
    "format": Target(decoders.fuzz_format, seeds.formats, UnsupportedFormat, JSON, ("artstore", "features", "gc", "read", "write", "id"), 300),
    "config": Target(decoders.fuzz_config, lambda: [seeds.CONFIG, b""], InvalidValue, told=seeds.CONFIG_WORDS, most=300),
    "names": Target(decoders.fuzz_names, lambda: seeds.NAMES, (), told=seeds.NAME_WORDS, most=96),
    "ignore": Target(decoders.fuzz_ignore, lambda: seeds.IGNORE, (), told=seeds.IGNORE_WORDS, most=200),
    "filters": Target(decoders.fuzz_filters, lambda: seeds.FILTERS, InvalidValue, JSON, seeds.FILTER_WORDS, 300),
    "owner": Target(decoders.fuzz_owner, seeds.owners, (), most=200),
    "table": Target(decoders.fuzz_table, seeds.tables, shape=JSON, told=seeds.TABLE_WORDS),
    "arrays": Target(decoders.fuzz_arrays, seeds.arrays),
    "checkouts": Target(decoders.fuzz_checkouts, seeds.checkout_notes, (), JSON),
    "tracking": Target(decoders.fuzz_tracking, seeds.notes, (), JSON, ("settled", "id"), 300),
    "statcache": Target(decoders.fuzz_statcache, seeds.statcaches, ()),
    "catalog": Target(decoders.fuzz_catalog, seeds.catalogs, ()),
    "verified": Target(decoders.fuzz_verified, seeds.verified_notes, ()),
}  # fmt: skip
