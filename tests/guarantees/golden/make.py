"""Makes the golden repositories that are not there yet: `python -m tests.guarantees.golden.make`.

One that is there is never made again: what a released version has written must be read for ever. A new feature of the
format gets a new function in `features`, and by this a new golden repository.
"""

import gzip
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from blake3 import blake3

from artstore.backends import owner
from artstore.repository import Repository
from tests.guarantees.golden.model import Files, expand
from tests.guarantees.golden.tell import by_package
from tests.support.folders import make_tree

HERE = Path(__file__).parent
LISTED = HERE / "B3SUMS"


class Place:
    """A folder to work in, with a repository in `here`, and room for another in `there`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        os.chdir(folder)
        os.environ["ARTSTORE_DIR"] = str(folder / "here")
        self.root = folder / "here"
        self.repository = Repository.init(str(self.root))
        self._numbers = iter(range(1000))

    def folder(self, files: Files) -> str:
        return str(make_tree(Path(f"in-{next(self._numbers)}"), expand(files)))

    def put(self, name: str, files: Files, repository: Repository | None = None, **said: Any) -> None:
        """Save a folder with these files, as a dataset if nothing else is said."""
        (repository or self.repository).put(self.folder(files), name, **{"type": "dataset"} | said)


Expected = dict[str, Any]
IN = "local/uncategorized"


def told(collections: dict[str, Any], runs: dict[str, Any] | None = None, **more: Any) -> Expected:
    """Names without a project are in the default one."""
    full = {name if "/" in name else f"{IN}/{name}": one for name, one in collections.items()}
    return {"collections": full, "runs": runs or {}, **more}


def seal_environment() -> None:
    """Nothing of this host goes into what is made."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "ARTSTORE_")):
            del os.environ[name]
    os.environ |= {"LOGNAME": "ada", "USER": "ada", "HOME": "/nonexistent"}
    os.umask(0o022)
    os.uname = lambda: os.uname_result(("Linux", "workstation", "6.12", "1", "x86_64"))
    vars(owner).update(_host=lambda: "workstation-0123456789ab", _boot=lambda: "ba9876543210", _namespace=lambda: "1")
    sys.argv = ["train.py", "--lr", "0.1"]


def packed(folders: Iterable[Path]) -> bytes:
    """A tar that is the same wherever these folders are: sorted, without times and owners, compressed."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for top in folders:
            for path in [top, *sorted(top.rglob("*"), key=os.fsencode)]:
                info = tar.gettarinfo(path, str(path.relative_to(top.parent)))
                info.mtime = info.uid = info.gid = 0
                info.uname = info.gname = ""
                with path.open("rb") if info.isreg() else io.BytesIO() as file:
                    tar.addfile(info, file)
    return gzip.compress(text.getvalue(), 9, mtime=0)


def make(name: str, build: Callable[[Place], dict[str, Any]], folder: Path) -> None:
    """Build one, and write it with what it is expected to tell: what was put in, and ids as they were given."""
    place = Place(folder)
    expected = build(place)
    place.repository.close()
    roots = [root for root in (folder / "here", folder / "there") if root.exists()]
    expected = json.loads(json.dumps(expected if "here" in expected else {"here": expected}))  # nothing shared
    for root in roots:
        shutil.rmtree(root / "cache")
        (root / "cache").mkdir()
        if not expected[root.name].pop("checkouts", False):
            shutil.rmtree(root / "checkouts", ignore_errors=True)
        if (config := root / "config").exists():
            config.write_text(config.read_text().replace(f"{folder}/", ""))  # a remote lies beside its clone
        add_ids(expected[root.name], root)
    (HERE / f"{name}.tar.gz").write_bytes(packed(roots))
    text = json.dumps(expected, indent=1, sort_keys=True) + "\n"
    (HERE / f"{name}.json").write_text(text)


def add_ids(expected: dict[str, Any], root: Path) -> None:
    """Give each expected version its id, which its time of making is part of."""
    with Repository(str(root)) as repository:
        told = by_package(repository, absent=True)["collections"]
    for name, collection in expected["collections"].items():
        for number, version in collection["versions"].items():
            version["id"] = told[name]["versions"][number]["id"]
            if not version["live"]:
                del version["files"]  # which need not be there


def list_new() -> None:
    """Add the digests of files that are not listed yet; what is listed stays."""
    listed = LISTED.read_text().splitlines(keepends=True) if LISTED.exists() else []
    known = {line[66:-1] for line in listed}
    new = [path for path in golden_files() if path.name not in known]
    lines = [f"{blake3(path.read_bytes()).hexdigest()}  {path.name}\n" for path in new]
    LISTED.write_text("".join(sorted(listed + lines, key=lambda line: line[66:])))


def golden_files() -> list[Path]:
    return sorted([*HERE.glob("*.tar.gz"), *HERE.glob("*.json")])


def main(work: Path) -> None:
    from tests.guarantees.golden import features, sayings

    for build in features.ALL + sayings.ALL:
        name = build.__name__.replace("_", "-")
        if (HERE / f"{name}.tar.gz").exists():
            continue
        child = os.fork()  # each in a process of its own
        if child == 0:
            seal_environment()
            make(name, build, work / name)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit(f"{name} could not be made")
        print(f"{name}: {(HERE / f'{name}.tar.gz').stat().st_size:,} bytes")
    list_new()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder).resolve())
