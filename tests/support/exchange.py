"""Repositories around one remote: made, filled, cloned and looked at."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import artstore
from artstore.operations.restoring.options import PLAIN, Restore
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.sync.exchange import Exchanged, Moved
from tests.support.folders import make_tree, snapshot, touched
from tests.support.reader import Reader

BIG = bytes(range(256)) * (LARGE // 256 + 1)
FILES: dict[str, Any] = {
    "a.txt": "small",
    "sub/b.txt": "other",
    "sub/deep/c.txt": "third",
    "big.bin": BIG,
    "run.sh*": "#!",
}
Place = Callable[..., Repository]


def put(repository: Repository, name: str, files: dict[str, Any], **options: Any) -> str:
    """The id of the version that these files are."""
    source = Path(repository.root).parent / "src"
    if source.exists():
        shutil.rmtree(source)
    return repository.put(str(make_tree(source, files)), name, **options).id


def cloned(tmp_path: Path, nas: Path | str, name: str = "clone", **options: Any) -> Repository:
    repository, _ = Repository.clone(str(nas), str(tmp_path / name / ".artifacts"), **options)
    return repository


def got(repository: Repository, spec: str, how: Restore = PLAIN) -> dict[str, Any]:
    target = Path(repository.root).parent / "got"
    if target.exists():
        shutil.rmtree(target)
    repository.get(repository.find(spec), str(target), how)
    return snapshot(target)


def only(done: Exchanged) -> Moved:
    (moved,) = done.collections
    if moved.problem is not None:
        raise moved.problem
    return moved


def outcomes(done: Exchanged) -> dict[str, str]:
    return {moved.path.name: moved.outcome for moved in done.collections}


def says(repository: Any, name: str = "a") -> dict[str, Any]:
    """What a repository (or a remote's folder) says of a collection."""
    if isinstance(repository, Path):
        with Repository(str(repository)) as opened:
            return says(opened, name)
    state = repository.refs.read(repository.path_of(name)[0])
    numbers = {id: version["number"] for id, version in state.versions.items()}
    return {
        "type": state.type,
        "tags": sorted(state.tags),
        "description": state.description,
        "versions": numbers,
        "live": [version["id"] for version in state.live()],
        "aliases": {alias: numbers[id] for alias, id in state.aliases.items()},
        "properties": [
            (
                repository.properties(repository.find(f"{name}@{v['id']}")),
                sorted(v.get("tags", [])),
                v.get("ttl", "inherit"),
                v.get("extras", {}),
            )
            for v in state.live()
        ],
    }


def files_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {str(path.relative_to(folder)): touched(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def objects_of(folder: Path) -> set[tuple[str, str]]:
    return set(Reader(folder).copies)


def refs_of(repository: Repository) -> dict[str, bytes]:
    root = Path(repository.root) / "refs"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.json")}


def logged(name: str, files: dict[str, Any], **options: Any) -> None:
    artifact = artstore.Artifact(name, **options)
    artifact.add_dir(str(make_tree(Path("run-src") / name, files)))
    artstore.log_artifact(artifact)
