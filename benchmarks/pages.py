"""What the pages of `artstore ui` cost over a repository that is large in every way.

    python -m benchmarks.pages --work FOLDER [--files 1000000] [--runs 10000]

Makes the repository where the folder has none: a version of a million files in one folder, the same in a thousand folders, 10,000
runs that make a version each (some minutes). Then asks a real server for each page: the first time, and the median
of nine more; and says what memory the server took in the end.
"""

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import runs

ROUNDS = 9
HOME = "local/uncategorized"


def make(work: Path, files: int, runs_wanted: int) -> None:
    runs.make(work, runs_wanted)
    for name, folders in (("flat", 1), ("deep", 1000)):
        for number in range(folders):
            (work / name / f"{number:04}").mkdir(parents=True)
        for number in range(files):
            (work / name / f"{number % folders:04}" / f"{number:07}.txt").write_bytes(b"")
        subprocess.run([sys.executable, "-m", "artstore", "put", name, "--name", name], cwd=work, check=True)


def pages(files: int, runs_made: int) -> dict[str, str]:
    return {
        "artifacts": "/",
        f"a collection of {runs_made:,} versions": "/artifact/local/p/model",
        "the last of its versions": f"/artifact/local/p/model?start={runs_made * 9 // 10}",
        f"a version of {files:,} files": f"/version/{HOME}/flat/0",
        f"a folder of {files:,} files": f"/files/{HOME}/flat/0?path=0000",
        "that folder, from the middle": f"/files/{HOME}/flat/0?path=0000&from={files // 2:07}",
        "a file of that folder": f"/files/{HOME}/flat/0?path=0000/{files // 2:07}.txt",
        "a version of 1,000 folders": f"/files/{HOME}/deep/0",
        f"difference of two versions of {files:,} files": f"/diff?old={HOME}/flat:v0&new={HOME}/deep:v0",
        f"{runs_made:,} runs": "/runs",
        "the last of them": f"/runs?start={runs_made * 9 // 10}",
        "lineage of a model": "/lineage/local/p/model/9",
        "search": "/search?q=7777",
        "storage": "/storage",
    }


def ask(address: str, path: str) -> float:
    """Seconds until the whole page was there."""
    port, secret = urlsplit(address).port, address.partition("secret=")[2]
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", path, headers={"Cookie": f"artstore-{port}={secret}"})
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"{path}: {response.status}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder to make the repository in")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (work / ".artifacts").exists():
        make(work, given.files, given.runs)
    command = [sys.executable, "-m", "artstore", "ui", "--no-browser"]
    with subprocess.Popen(
        command,
        cwd=work,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ARTSTORE_DIR": str(work / ".artifacts")},
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        for name, path in pages(given.files, given.runs).items():
            first, more = ask(address, path), [ask(address, path) for _ in range(ROUNDS)]
            print(f"{name:48} {first * 1000:7.0f} ms first, {statistics.median(more) * 1000:6.0f} ms then", flush=True)
        status = Path(f"/proc/{server.pid}/status").read_text()
        print(
            "memory at most:", next(line for line in status.splitlines() if line.startswith("VmHWM")).split(None, 1)[1]
        )
        server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
