"""One target under atheris, in this process: `python -m tests.guarantees.fuzz.child TARGET FOUND [libFuzzer's options]`."""

import random
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["artstore", "configparser"]):
    from tests.guarantees.fuzz import targets
from tests.guarantees.fuzz.mutation import reshaped


def main(name: str, found: Path, *options: str) -> None:
    target = targets.TARGETS[name]
    words = target.words()
    known: set[str] = set()

    def run(data: bytes) -> None:
        if (crash := targets.crash(target, data)) is not None and crash not in known:
            known.add(crash)
            print(f"CRASH {crash}: {targets.keep(found, data)}", flush=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        value = reshaped(data, rng, words, target.shape) if rng.random() < 0.5 else None
        if value is not None and len(value) <= most:
            return value
        return bytes(atheris.Mutate(data, most))

    warnings.simplefilter("error")
    own = {} if target.shape is None else {"custom_mutator": mutate}
    atheris.Setup([sys.argv[0], *options], run, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
