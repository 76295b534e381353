"""A remote to which `small` was pushed in many steps: 50 files more are saved and pushed, again and again.

One process builds it, through the Python API: so many processes would take a quarter of an hour.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.measure import Command, run_untimed
from benchmarks.place import HERE, Place

FILES = 50


def stepped_remote(place: Place) -> Path:
    """The remote; the files of the place's tree are in `data`, and in its last version all of them."""
    remote = place.root / "stepped"
    if not remote.exists():
        unfinished = place.new("stepped")
        argv = (place.bench.settings.python, "-m", "benchmarks.steps", str(place.tree.root), str(place.new("store")))
        run_untimed(Command((*argv, str(unfinished)), cwd=HERE.parent))
        unfinished.rename(remote)
    return remote


def _build(tree: str, store: str, remote: str) -> None:
    from artstore.repository import Repository  # only the process that builds needs it

    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names)
    with Repository.init(store) as repository:
        repository.remotes.add("origin", remote, make=True)
        collection, _ = repository.path_of("data")
        for start in range(0, len(files), FILES):
            with repository.draft() as draft:
                for file in files[start : start + FILES]:
                    draft.add_file(file, os.path.relpath(file, tree))
                draft.save(collection, incremental=True)
            repository.push("origin")


if __name__ == "__main__":
    _build(*sys.argv[1:])
