"""Coverage-guided fuzzing of every decoder, one after the other, each in a process of its own under atheris.

    python -m tests.guarantees.fuzz [--targets pack,tree] [--executions 1000000] [--corpus DIR]

A crash is any exception that the decoder does not promise, a broken promise (what is decoded encodes to other bytes), more than
5 seconds or 600 MB. Inputs that were one are kept below tests/guarantees/fuzz/found/, where tests/guarantees/fuzz/test_fuzz.py tries them again.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.guarantees.fuzz.decoders import MEMORY
from tests.guarantees.fuzz.targets import FOUND, TARGETS, Target, keep

_SECONDS, _MEGABYTES = 5, 600


class Outcome(NamedTuple):
    target: str
    executions: int
    seconds: float
    inputs: int
    """in the corpus at the end: each reached something that the others did not"""
    crashes: list[str]


def fuzz(name: str, executions: int, corpus: Path, scratch: Path) -> Outcome:
    """Run one target; `scratch` is removed by the caller, also when the target was killed."""
    target, found = TARGETS[name], FOUND / name
    for seed in (*target.seeds(), *(path.read_bytes() for path in found.glob("*"))):
        keep(corpus, seed)
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.guarantees.fuzz.child", name, str(found), str(corpus), f"-runs={executions}", f"-max_len={target.most}",
            f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}", "-print_final_stats=1", f"-artifact_prefix={scratch}/",
            *_dictionary(target, scratch),
        ],
        env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    crashes = re.findall(r"^CRASH (.*)$", done.stdout, re.MULTILINE)
    for path in scratch.glob("*-*[0-9a-f]"):
        if path.is_file():  # of libFuzzer: timeout-…, oom-…, crash-…
            crashes.append(f"{path.name.partition('-')[0]}: {keep(found, path.read_bytes())}")
    if done.returncode and not crashes:
        crashes.append(f"the process ended with {done.returncode}: {done.stderr[-1000:]}")
    ran = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return Outcome(name, int(ran[1]) if ran else 0, time.monotonic() - began, len(list(corpus.iterdir())), crashes)


def _dictionary(target: Target, folder: Path) -> list[str]:
    """The option that names a file of the target's words."""
    words = ["".join(f"\\x{byte:02x}" for byte in word) for word in target.words()]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))
    return [f"-dict={folder}/words"] if words else []


def row(outcome: Outcome) -> str:
    name, executions, seconds, inputs, crashes = outcome
    return f"{name:15} {executions:>10} {seconds:>8.0f} {inputs:>7} {len(crashes):>7}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--targets", default=",".join(TARGETS), help="which, by commas (default: all)")
    parser.add_argument("--executions", type=int, default=1_000_000, metavar="N", help="of each (default: 1000000)")
    parser.add_argument(
        "--corpus", type=Path, metavar="DIR", help="where to keep inputs that reach new code, to go on with"
    )
    options = parser.parse_args()
    names = options.targets.split(",")
    if unknown := set(names) - TARGETS.keys():
        sys.exit(f"there is no target {min(unknown)}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzzing needs atheris: pip install -e '.[test,fuzz]'")
    wrong = 0
    print(f"{'TARGET':15} {'EXECUTIONS':>10} {'SECONDS':>8} {'INPUTS':>7} {'CRASHES':>7}", flush=True)
    for name in names:
        with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
            corpus = (options.corpus or Path(scratch, "corpus")) / name
            outcome = fuzz(name, options.executions, corpus, Path(scratch))
        print("\n  ".join([row(outcome), *outcome.crashes]), flush=True)
        wrong += len(outcome.crashes)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
