"""The stage: repositories to begin with, what each role does there, and what must hold when all have ended."""

import itertools
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from unittest import mock

from artstore.domain.cutting import Piece
from artstore.domain.properties import Properties
from artstore.domain.tree import DIRECTORY
from artstore.errors import ArtstoreError, Conflict, MissingObject, NotFound
from artstore.operations.upkeep import merge as merging
from artstore.operations.upkeep import packing
from artstore.repository import Repository
from artstore.store.paths import pack_path
from tests.guarantees.schedule.steps import DIES, DONE, HANGS, Actor, Choose, Run, Step, determined
from tests.support.folders import make_tree
from tests.support.packing import steps
from tests.support.reader import Reader

Content = dict[str, bytes]
BASE: Content = {"f": b"base", "sub/g": b"below"}
LARGE: Content = {"f": b"base", "large": b"L" * ((1 << 20) + 1)}
HALF: Content = {"p": b"half"}
WHOLE: Content = {**HALF, "filler": b"much more than that " * 500}
GONE: Content = {"h": b"gone"}


def _tensors(*letters: str) -> Content:
    """A safetensors file with 600 kB for each letter, each a segment when it is packed: small, of a capital 300 kB."""
    size = 600_000
    header = {
        letter: {"dtype": "U8", "shape": [size], "data_offsets": [at * size, (at + 1) * size]}
        for at, letter in enumerate(letters)
    }
    text = json.dumps(header).encode()
    parts = (
        bytes(byte & 15 for byte in Random(one).randbytes(size)) if one.isupper() else one.encode() * size
        for one in letters
    )
    return {"m": len(text).to_bytes(8, "little") + text + b"".join(parts)}


FILES: Content = {**BASE, **_tensors("a", "b")}
TEXTS: Content = {**BASE, **{f"{letter}.txt": f"a line of {letter}\n".encode() * 400 for letter in "tuv"}}
NOTE = "what is said of it " * 300
_SEVERAL = 2
"""Packs of a size class that are merged: eight in real life; so schedules are short."""
_REFUSED = (NotFound, Conflict, MissingObject)
"""What a role may be told when others were faster."""

SCENES: dict[str, Content] = {
    "plain": BASE,
    "large": LARGE,
    "packs": BASE,
    "half": HALF,
    "deleted": GONE,
    "trash": GONE,
    "rule": BASE,
    "files": FILES,
    "segments": FILES,
    "packed": FILES,
    "twice": {**BASE, **_tensors("A", "B")},
    "texts": TEXTS,
    "groups": TEXTS,
    "steps": {**BASE, "m": steps(2)[1]},
}
"""What `base` holds, by scene: `packs` has a second one; of a pack of `half` less than half is alive; in `deleted` and `trash`
`base:v0` is deleted, and lies in a pack or in the trash of an ended run; in `rule` a rule lets `base:v0` go. In `files` it
has a large file; in `segments` also `other`, which is packed, and has one of its segments; in `packed` both are; in `twice` two packs hold
all of the large file, each with another recipe. In `texts` it has small files that shrink together, and so has `other`; in `groups`
both are packed; in `steps` the large file is stored as the difference
from that of `other:v0`, which nothing else needs.
"""


class Played:
    """A schedule as it was played: who took which steps, how each ended, and what does not hold that must."""

    def __init__(self, run: Run, fates: list[str | None], problems: list[str]) -> None:
        self.names = [actor.name for actor in run.actors]
        self.fates = fates
        self.errors = {actor.name: repr(actor.error) for actor in run.actors if actor.error}
        self.trace: list[Step] = run.trace
        self.problems = problems


def _in_place(root: str) -> Reader:
    """What is in objects/ alone: whatever a version that was acknowledged needs must be there, not on its way out."""
    reader = Reader(root)
    trash = Path(root, "trash")
    for key, copies in list(reader.copies.items()):
        reader.copies[key] = [copy for copy in copies if trash not in copy[0].parents]
    return reader


class Stage:
    """Folders to save, and for each schedule a repository as its scene has it."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self._folder = folder
        self._seed = seed
        self._root = str(folder / "now" / ".artifacts")

    def _source(self, scene: str, name: str) -> str:
        return str(self._folder / scene / name)

    def play(self, scene: str, cast: tuple[str, ...], choose: Choose) -> Played:
        self._prepare(scene)
        expected = {} if scene in ("deleted", "trash") else {"base": SCENES[scene]}
        expected = {"base:v1": SCENES[scene]} if scene == "rule" else expected
        taken = {"base"} if {"deleter", "mover"} & set(cast) else set[str]()
        problems: list[str] = []

        def ended(actor: Actor) -> None:
            if actor.error is None and (spec := _MADE.get(actor.name)):
                expected[spec] = SCENES[scene]
            problems.extend(f"when {actor.name} had ended: {p}" for p in self._unreadable(expected, taken))

        named = list(zip(distinct(cast), cast, strict=True))
        several = _SEVERAL if "merger" in cast else merging.MERGE_COUNT
        with mock.patch.object(merging, "MERGE_COUNT", several):
            run = Run(self._root, [(name, self._work(scene, role)) for name, role in named], choose, ended, self._seed)
            with run.played():
                fates = [actor.fate for actor in run.actors]
                for actor in run.actors:
                    if actor.error is not None and not (
                        isinstance(actor.error, _REFUSED) and actor.name not in ("collector", "merger")
                    ):
                        problems.append(f"{actor.name} failed: {actor.error!r}")
                problems += self._aftermath(run, expected, taken)
        shutil.rmtree(self._folder / "now")
        return Played(run, fates, problems)

    def _work(self, scene: str, role: str) -> Callable[[], None]:
        def work() -> None:
            with Repository(self._root) as repository:
                self._roles(scene)[role](repository)

        return work

    def _roles(self, scene: str) -> dict[str, Callable[[Repository], object]]:
        spec = "base:v1" if scene == "half" else "base:v0"
        again = self._source(scene, "again")
        return {
            "saver": lambda repository: repository.put(again, "saved"),
            "heir": lambda repository: repository.put(self._source(scene, "base"), "inherited"),
            "copier": lambda repository: repository.copy(spec, "copied"),
            "linker": lambda repository: repository.link(repository.find(spec), "linked"),
            "editor": lambda repository: repository.edit(spec, Properties(description=NOTE)),
            "adder": lambda repository: _add(repository, again),
            "undeleter": lambda repository: repository.undelete(spec),
            "mover": lambda repository: repository.move(spec, "moved"),
            "renamer": lambda repository: repository.rename("base", "renamed"),
            "deleter": lambda repository: repository.delete(spec),
            "keeper": lambda repository: repository.retain(repository.refs.read(repository.path_of("base")[0])),
            "namer": lambda repository: repository.set_aliases("base:v0", add=("prod",)),
            "unruler": lambda repository: repository.keep("base", None),
            "collector": lambda repository: repository.gc(now=True),
            "merger": lambda repository: merging.merge(repository.objects),
            "packer": lambda repository: repository.pack(),
            "forgetter": lambda repository: repository.delete("other:v0"),
        }

    # -- before --

    def _prepare(self, scene: str) -> None:
        template = self._folder / scene / ".artifacts"
        if not template.exists():
            random, moments = Random(scene), itertools.count(1_600_000_000_000_000_000)
            with determined(random.randbytes, lambda: next(moments)):
                self._build(scene, template)
        _copy(str(template), self._root, links=scene not in ("files", "segments"))
        if scene == "rule":
            with Repository(self._root) as repository:
                repository.accept_keep("base")

    def _build(self, scene: str, root: Path) -> None:
        for name in ("base", "again"):
            make_tree(Path(self._source(scene, name)), dict(WHOLE if scene == "half" else SCENES[scene]))
        time.sleep(0.05)  # s; what is younger is read again, whatever the stat cache says
        with Repository.init(str(root)) as repository:
            if scene == "rule":
                repository.put(str(make_tree(root.parent / "first", dict(GONE))), "base")
            if scene in ("segments", "packed"):
                repository.put(str(make_tree(root.parent / "other", dict(_tensors("a", "c")))), "other")
                repository.pack()
            for data in steps(2) if scene == "steps" else ():
                repository.put(str(make_tree(root.parent / "other", {"m": data})), "other")
            repository.put(self._source(scene, "base"), "base")
            if scene in ("packed", "twice", "groups", "steps"):
                repository.pack()
            if scene == "twice":
                _pack_elsewhere(self._source(scene, "base"), root)
            if scene in ("packs", "texts", "groups"):
                more = GONE if scene == "packs" else {"w.txt": b"a line of w\n" * 600}
                repository.put(str(make_tree(root.parent / "other", dict(more))), "other")
            if scene == "groups":
                repository.pack()
            if scene == "half":
                for name in ("base", "again"):
                    os.unlink(f"{self._source(scene, name)}/filler")
                repository.put(self._source(scene, "base"), "base")
            if scene == "rule":
                repository.keep("base", "last:1")
            if scene in ("half", "deleted", "trash"):
                repository.delete("base:v0")
            if scene == "trash":
                repository.gc()

    # -- after --

    def _aftermath(self, run: Run, expected: dict[str, Content], taken: set[str]) -> list[str]:
        """What is wrong now, after a collection, and after one more when those that hang have died as well."""
        problems = self._unreadable(expected, taken)
        if all(actor.fate == DONE for actor in run.actors):
            problems += [f"with all at their end: {problem}" for problem in _in_place(self._root).check()]
        if any(actor.fate == HANGS for actor in run.actors):
            problems += self._collected(expected, taken)
            for actor in run.actors:
                actor.fate = DIES if actor.fate == HANGS else actor.fate
        problems += self._collected(expected, taken)
        with Repository(self._root) as repository:
            problems += [f"fsck: {problem}" for problem in repository.fsck().problems]
        problems += [f"reader: {problem}" for problem in _in_place(self._root).check()]
        problems += _against_the_rule(self._root) if "keeper" in [actor.name for actor in run.actors] else []
        stranded = [*Path(self._root, "tmp").iterdir(), *Path(self._root, "trash").glob("*/*")]
        return problems + [f"{path.relative_to(self._root)} is stranded" for path in stranded]

    def _collected(self, expected: dict[str, Content], taken: set[str]) -> list[str]:
        with Repository(self._root) as repository:
            try:
                problems = [f"gc: {problem}" for problem in repository.gc(now=True).problems]
            except ArtstoreError as error:
                problems = [f"gc failed: {error}"]
        return problems + [f"after gc: {problem}" for problem in self._unreadable(expected, taken)]

    def _unreadable(self, expected: dict[str, Content], taken: set[str]) -> list[str]:
        """Acknowledged versions that are not there, or not whole; those of `taken` may have been deleted."""
        problems = []
        with Repository(self._root) as repository:
            for spec, content in expected.items():
                try:
                    found = repository.find(spec)
                except NotFound as error:
                    problems += [] if spec in taken else [f"{spec}: {error}"]
                    continue
                try:
                    entries = [(path, e) for path, e in repository.walk(found.tree) if e[1] != DIRECTORY]
                    right = {path.decode(): b"".join(repository.content(e)) for path, e in entries} == content
                    problems += [] if right else [f"{spec} holds something else"]
                except ArtstoreError as error:
                    problems.append(f"{spec}: {error}")
        return problems


_MADE = {
    "saver": "saved", "heir": "inherited", "copier": "copied", "linker": "linked", "adder": "added",
    "undeleter": "base", "mover": "moved", "renamer": "renamed",
}  # fmt: skip
"""What is there when a role has ended well."""


def _pack_elsewhere(source: str, root: Path) -> None:
    """Add a pack of the same file that another repository made, which cuts it into other segments."""
    elsewhere = root.parent / "elsewhere"
    pieces = [
        Piece(at, min(400_000, end - at), (1,))
        for end in [os.stat(f"{source}/m").st_size]
        for at in range(0, end, 400_000)
    ]
    with Repository.init(str(elsewhere)) as repository, mock.patch.object(packing, "cuts", lambda *_: iter(pieces)):
        repository.put(source, "base")
        repository.pack()
        (pack,) = (name for name in repository.objects.packs.names() if repository.objects.packs.has_frames(name))
        shutil.copy(repository.storage.path(pack_path(pack)), f"{root}/{pack_path(pack)}")


def _add(repository: Repository, source: str) -> None:
    with repository.draft() as draft:
        draft.add_folder(source)
        draft.save_part(repository.path_of("added")[0], "upsert", writer="adder")
    repository.finish("added", "upsert")


def _against_the_rule(root: str) -> list[str]:
    """Deletions that were appended although the version had an alias, or the rule was removed."""
    with Repository(root) as repository:
        path = repository.path_of("base")[0]
        deleted = [
            (change["id"], repository.refs.read_folder(path.folder, until=entry.number - 1, checkpoints=False))
            for entry in repository.refs.history(path)
            for change in entry.changes
            if change["kind"] == "delete"
        ]
    wrong = [id for id, before in deleted if before.keep is None or set(before.aliases_of(id)) - {"latest"}]
    return [f"the rule was not to delete {id[:12]}" for id in wrong]


def distinct(cast: tuple[str, ...]) -> list[str]:
    """Second and later ones of a role get a number."""
    return [role + (str(n) if (n := cast[:i].count(role) + 1) > 1 else "") for i, role in enumerate(cast)]


def _copy(source: str, target: str, *, links: bool = True) -> None:
    """Stored files and log entries are linked: they never change, and stay the files that the stat cache knows.

    Without `links`, large blobs are copied: a packer leaves files alone to which something else links.
    """
    os.makedirs(target)
    for entry in os.scandir(source):
        path = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            _copy(entry.path, path, links=links)
        elif entry.name.endswith((".json", ".pack")) or (links and len(entry.name) == 64):
            os.link(entry.path, path)
        else:
            shutil.copy2(entry.path, path)
