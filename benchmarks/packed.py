"""What packing saves and costs: stored bytes beside raw ones, seconds beside `cp`.

    python -m benchmarks.packed --work FOLDER [--mib 1024] [--weights FILE.pt ...]
    python -m benchmarks.packed --work FOLDER --small 50000 [--code FOLDER]
    python -m benchmarks.packed --work FOLDER --states FILE ...

Weights are drawn from a normal distribution: their bytes shrink as those of trained models do, and no segment of two
states that were drawn apart is equal. `--weights` adds files of real ones. With `--small` it packs this number of files
of 4 KiB, and JSON labels, and with `--code` the Python files of a folder; with `--states` versions of one file, such as
`benchmarks.trained` makes.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy

from artstore.repository import Repository

MIB = 1 << 20
_Random = numpy.random.Generator


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--mib", type=int, default=1024, help="size of one checkpoint")
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--states", type=Path, nargs="*", default=[], help="pack only these, as versions of one file")
    parser.add_argument("--small", type=int, default=0, metavar="N", help="pack N small files in place of large ones")
    parser.add_argument("--code", type=Path, help="a folder with Python files")
    options = parser.parse_args()
    if options.small:
        for name, files in small_cases(options.small, options.code):
            print(small_line(name, options.work / name.replace(" ", "-"), files), flush=True)
        return
    if options.states:
        print(line(options.states[-1].name, options.work, [_written(path.read_bytes()) for path in options.states]))
        return
    random_numbers = numpy.random.default_rng(7)
    for name, versions in cases(random_numbers, options.mib * MIB, options.weights):
        print(line(name, options.work, versions), flush=True)


def cases(numbers: _Random, size: int, weights: list[Path]) -> Iterator[tuple[str, list[Callable[[Path], object]]]]:
    """Each case: its name, and what writes the files of its versions to a folder."""
    for width, name in ((2, "BF16"), (4, "FP32")):
        yield f"{name}, a first version", [_saved(drawn(numbers, size, width), width)]
    first = drawn(numbers, size, 2)
    yield "BF16, 5 checkpoints of which 3 % differ", [_saved(state, 2) for state in _steps(numbers, first, 5)]
    frozen = drawn(numbers, size, 2)
    yield "BF16, a fine-tune of the last tenth", [_saved(frozen, 2), _saved(_with_new_end(numbers, frozen), 2)]
    for width, name in ((2, "BF16"), (4, "FP32")):
        yield (
            f"{name}, a step of training beside the one before",
            [_saved(s, width) for s in _trained(numbers, size, width)],
        )
    noise = numbers.bytes(size)
    yield "random bytes", [_written(noise)]
    yield (
        "random bytes, 64 KiB inserted",
        [_written(noise), _written(noise[: size // 2] + numbers.bytes(65536) + noise[size // 2 :])],
    )
    yield "hex digits", [_written(noise[: size // 2].hex().encode())]
    yield (
        "table of which 0.5 % of the lines changed",
        [_written(_table(size // 4, changed)) for changed in (False, True)],
    )
    for path in weights:
        yield path.name, [_written(path.read_bytes())]


def drawn(numbers: _Random, size: int, width: int) -> bytes:
    """Bytes of numbers from a normal distribution: single precision, or its upper half."""
    single = numbers.standard_normal(size // width, dtype=numpy.float32).view(numpy.uint32)
    return (single >> 16).astype(numpy.uint16).tobytes() if width == 2 else single.tobytes()


def _steps(numbers: _Random, state: bytes, count: int) -> Iterator[bytes]:
    """States of which each differs from the one before in 3 % of its bytes, at one place."""
    part = len(state) * 3 // 100 // 2 * 2
    for number in range(count):
        yield state
        at = part * number
        state = state[:at] + drawn(numbers, part, 2) + state[at + part :]


def _trained(numbers: _Random, size: int, width: int) -> Iterator[bytes]:
    """Weights of a deviation of 0.02, and the same after a step of 1e-5 each way."""
    weights = numbers.standard_normal(size // width, dtype=numpy.float32) * numpy.float32(0.02)
    for _ in range(2):
        single = weights.view(numpy.uint32)
        yield (single >> 16).astype(numpy.uint16).tobytes() if width == 2 else single.tobytes()
        weights = weights + numpy.float32(1e-5) * numbers.standard_normal(size // width, dtype=numpy.float32)


def _table(size: int, changed: bool) -> bytes:
    """Lines of a random word and a number; if `changed`, one in 200 has another word."""
    words = random.Random(7)
    lines, at = list[bytes](), 0
    while at < size:
        word = words.randbytes(4).hex()
        lines.append(f"{len(lines)},{word[::-1] if changed and len(lines) % 200 == 7 else word},{at % 1009}\n".encode())
        at += len(lines[-1])
    return b"".join(lines)


def _with_new_end(numbers: _Random, state: bytes) -> bytes:
    kept = len(state) // 20 * 18
    return state[:kept] + drawn(numbers, len(state) - kept, 2)


def _saved(state: bytes, width: int) -> Callable[[Path], object]:
    """A safetensors file with 20 tensors."""
    length, header, at = len(state) // 20 // width * width, {}, 0
    for number in range(20):
        end = at + length if number < 19 else len(state)
        shape = [(end - at) // width]
        header[f"layer{number}"] = {"dtype": {2: "BF16", 4: "F32"}[width], "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    return _written(struct.pack("<Q", len(text)) + text + state)


def _written(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "file").write_bytes(content)


def line(name: str, work: Path, versions: list[Callable[[Path], object]]) -> str:
    """One case: bytes that are stored ÷ those of one version, the speeds of packing and of getting, and a range's time."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "in").mkdir(parents=True)
    with Repository.init(str(work / ".artifacts")) as repository:
        for write in versions:
            write(work / "in")
            repository.put(str(work / "in"), "data")
    size = (work / "in/file").stat().st_size
    whole = sum(path.stat().st_size for path in (work / ".artifacts/objects").rglob("*") if path.is_file())
    packing = timed(work, "pack")
    stored = _stored(work)
    copying, getting = [], []
    for number in range(3):
        os.sync()
        began = time.perf_counter()
        subprocess.run(["cp", work / "in/file", work / f"copy{number}"], check=True)
        os.sync()
        copying.append(time.perf_counter() - began)
        getting.append(timed(work, "get", "data", "--root", f"out{number}"))
    assert (work / "out0/file").read_bytes() == (work / "in/file").read_bytes()
    return (
        f"{name:42} {stored / size:6.3f} × one, {stored / whole:6.3f} × unpacked; pack {whole / packing / 1e9:.2f} GB/s; "
        f"get {statistics.median(getting) / statistics.median(copying):.2f} × cp; 1 MiB p95 {range_p95(work) * 1000:.1f} ms"
    )


def small_cases(count: int, code: Path | None) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    """Each case: its name, and its files, (path, content)."""
    numbers = random.Random(7)
    words = [f"{numbers.getrandbits(32):08x}"[: numbers.randint(3, 8)] for _ in range(5000)]
    yield "random", ((f"{n // 500:04}/{n:06}", numbers.randbytes(4096)) for n in range(count))
    yield "words", ((f"{n // 500:04}/{n:06}", " ".join(numbers.choices(words, k=640)).encode()) for n in range(count))
    yield "labels", ((f"{n // 500:04}/{n:06}", _label(numbers, n)) for n in range(9000))
    if code is not None:
        found = sorted(path for path in code.rglob("*.py") if path.is_file() and not path.is_symlink())
        yield "code", ((str(path.relative_to(code)), path.read_bytes()) for path in found)


def _label(numbers: random.Random, number: int) -> bytes:
    box = [round(numbers.random() * 640, 2) for _ in range(4)]
    label = {"image": f"img_{number:06}.jpg", "bbox": box, "label": numbers.choice(["cat", "dog", "car"])}
    return json.dumps(label).ljust(133).encode()


def small_line(name: str, work: Path, files: Iterator[tuple[str, bytes]]) -> str:
    """One case of small files. No tree is deleted, and each run of a command has a folder of its own."""
    payload = 0
    for path, content in files:
        (work / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (work / "in" / path).write_bytes(content)
        payload += len(content)
    copying, packing, getting, sizes = [], [], [], list[float]()
    for number in range(3):
        place = work / f"{number}"
        with Repository.init(str(place / ".artifacts")) as repository:
            repository.put(str(work / "in"), "data")
        sizes = [_stored(place)]
        os.sync()
        began = time.perf_counter()
        subprocess.run(["cp", "-r", work / "in", place / "copy"], check=True)
        copying.append(time.perf_counter() - began)
        os.sync()
        packing.append(timed(place, "pack"))
        os.sync()
        getting.append(timed(place, "get", "data", "--root", "out"))
        sizes.append(_stored(place))
    subprocess.run(["diff", "-r", work / "in", work / "0/out"], check=True)
    ratio = [
        statistics.median(took / copy for took, copy in zip(some, copying, strict=True)) for some in (packing, getting)
    ]
    return (
        f"{name:8} {sizes[0] / payload:.3f} unpacked, {sizes[1] / payload:.3f} packed; pack {statistics.median(packing):.2f} s "
        f"= {ratio[0]:.2f} × cp -r; get {statistics.median(getting):.2f} s = {ratio[1]:.2f} × cp -r"
    )


def _stored(place: Path) -> int:
    """Bytes of all of a repository but its caches."""
    files = ((path.stat().st_size, path) for path in (place / ".artifacts").rglob("*") if path.is_file())
    return sum(size for size, path in files if "cache" not in path.parts)


def timed(work: Path, *command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "artstore", *command], cwd=work, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def range_p95(work: Path) -> float:
    """Seconds of 95 in 100 reads of a MiB at random places, after the first."""
    with Repository(str(work / ".artifacts")) as repository:
        entry = repository.entry(repository.find("data"), "file")
        took = []
        with repository.open(entry) as file:
            for _ in range(200):
                file.seek(random.randrange(entry.size - MIB) if entry.size > MIB else 0)
                began = time.perf_counter()
                file.read(MIB)
                took.append(time.perf_counter() - began)
    return sorted(took)[int(len(took) * 0.95)]


if __name__ == "__main__":
    main()
