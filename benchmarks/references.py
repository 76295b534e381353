"""Many small objects in a bucket: references that `get` fetches, beside `rclone copy` of the same, in turn.

    python -m benchmarks.references --work FOLDER [--objects 2500] [--rounds 5]

The server is SeaweedFS, on this machine. Each round copies into a new folder, and begins without caches. Prints the seconds
of each round, and the median of the ratios.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.support.servers import SeaweedFS, seaweedfs

BUCKET, SIZE = "references", 2000


def environment(server: SeaweedFS, work: Path) -> dict[str, str]:
    """Of both tools. rclone can't use AWS_CA_BUNDLE."""
    given = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
    return given | {
        "HOME": str(work), "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": server.region, "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "Other", "RCLONE_CONFIG_S_ENV_AUTH": "true",
        "RCLONE_CONFIG_S_ENDPOINT": server.endpoint, "RCLONE_CONFIG_S_REGION": server.region,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder to work in; it is removed at the end")
    parser.add_argument("--objects", type=int, default=2500)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    work: Path = given.work
    (work / "server").mkdir(parents=True)
    (work / "source").mkdir()
    for number in range(given.objects):
        (work / "source" / f"{number:06}").write_bytes(os.urandom(SIZE))
    try:
        with seaweedfs(work / "server") as server:
            server.make_bucket(BUCKET)
            shell = environment(server, work)

            def timed(*command: str) -> float:
                started = time.perf_counter()
                subprocess.run(command, cwd=work, env=shell, check=True, capture_output=True)
                return time.perf_counter() - started

            artstore = (sys.executable, "-m", "artstore")
            timed("rclone", "copy", "source", f"S:{BUCKET}/many")
            print(
                f"put of {given.objects} references: {timed(*artstore, 'put', f's3://{BUCKET}/many', '-n', 'many'):.2f} s"
            )
            ratios = []
            for number in range(given.rounds):
                shutil.rmtree(work / ".artifacts/cache")
                theirs = timed("rclone", "copy", f"S:{BUCKET}/many", f"theirs{number}")
                ours = timed(*artstore, "get", "many", "--root", f"ours{number}")
                ratios.append(ours / theirs)
                print(f"rclone copy {theirs:.2f} s, get {ours:.2f} s: {ratios[-1]:.2f} ×")
            print(f"median: {statistics.median(ratios):.2f} ×")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
