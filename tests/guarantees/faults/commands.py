"""The commands under test: the repository each one meets, its arguments, and what must hold half-way and when it is done."""

import os
import random
import shutil
import time
from collections.abc import Callable
from typing import NamedTuple

from artstore.api.recording import start
from artstore.repository import Repository
from artstore.store.settings import RemoteSettings, Settings
from tests.guarantees.faults.place import Content, Ledger, Place, content_from, content_of
from tests.support.packing import steps
from tests.support.reader import Reader, hashed

Check = Callable[[Place], list[str]]


class Command(NamedTuple):
    prepare: Callable[[Place, Ledger], None]
    arguments: Callable[[Place], list[str]]
    done: Check
    """what is wrong after the command was acknowledged"""
    halfway: Check = lambda place: []
    """what is wrong after it was interrupted"""
    again: Check = lambda place: []
    """what is wrong besides after it ran without a fault: a rule that a failing call kept from being applied is a warning,
    because the save stands, and the next save applies it
    """
    warm: Callable[[Place], None] = lambda place: None
    """what is done in each copy before the command, since the stat cache knows a folder by its path and inodes"""
    already: str = "\0"
    """the error of a second run that means: the first had done it"""
    mends: bool = False
    """before it is done, the repository is damaged"""
    is_served: bool = False
    """it talks to a server of the remote, and the faults are the server's"""


def _bytes(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _files(seed: str, large: int = 1) -> dict[str, bytes]:
    """A few small files, an executable one, and large ones."""
    names = [f"{folder}{number}.txt" for folder in ("", "a/", "a/b/") for number in (1, 2)]
    return {
        **{name: _bytes(f"{seed} {name}", 300) for name in names},
        "a/run.sh*": b"#!/bin/sh\n" + seed.encode(),
        "empty": b"",
        **{f"large/{number}.bin": _bytes(f"{seed} large {number}", (1 << 20) + 5 + number) for number in range(large)},
    }


# -- put -----------------------------------------------------------------------------------------


def _put(place: Place) -> list[str]:
    return ["put", str(place.source), "-n", "x"]


def is_latest(place: Place) -> list[str]:
    found = place.latest("x")
    return (
        [] if found == content_of(place.source) else [f"the newest version of x is not the source: {str(found)[:100]}"]
    )


def _source_only(place: Place, ledger: Ledger) -> None:
    place.write(_files("one"))


def _many_large(place: Place, ledger: Ledger) -> None:
    place.write(_files("one", large=17))


def _second_save(place: Place, ledger: Ledger) -> None:
    place.write(_files("one", large=2))
    place.keep(ledger, "x")
    two = _files("two", large=1)
    # Content that is stored already, some under another name; and a large file of a size that is stored, with other bytes.
    place.write(
        _files("one", large=1) | {"1.txt": two["1.txt"], "other.bin": two["large/0.bin"], "a/b/copy": two["a/1.txt"]}
    )


def _saved_source(place: Place, ledger: Ledger) -> None:
    place.write(_files("one", large=2))
    place.keep(ledger, "x")


def _change_known_source(place: Place) -> None:
    """Fill the stat cache by a save without news, then change, add and remove a file."""
    time.sleep(0.05)  # files are trusted once the file system's clock has moved on
    with Repository(str(place.store)) as repository:
        repository.put(str(place.source), "x")
    (place.source / "a/1.txt").write_bytes(b"changed")
    (place.source / "a/new.bin").write_bytes(_bytes("new", 1 << 20))
    (place.source / "a/b/2.txt").unlink()


def _eighth_pack(place: Place, ledger: Ledger) -> None:
    for number in range(7):
        place.write({"same": b"same in all", f"{number}": _bytes(f"merge {number}", 500)})
        place.keep(ledger, "x")
    place.write({"same": b"same in all", "last": _bytes("merge last", 500)})


# -- get -----------------------------------------------------------------------------------------


def _two_versions(place: Place, ledger: Ledger) -> None:
    place.write(_files("one"))
    place.keep(ledger, "x")
    place.write(
        _files("one") | {"1.txt": b"changed", "large/0.bin": _bytes("new large", 1_300_000), "new/file": b"new"}
    )
    place.keep(ledger, "x")


def _with_target(place: Place, ledger: Ledger) -> None:
    """A target that holds the old version, a changed file and a foreign one."""
    _two_versions(place, ledger)
    place.write(_files("one") | {"a/1.txt": b"changed here", "foreign": b"not ours"}, place.target)


def _get_old(place: Place) -> None:
    with Repository(str(place.store)) as repository:
        repository.get(repository.find("x:v0"), str(place.target))
    (place.target / "foreign").write_bytes(b"not ours")


def _get(place: Place) -> list[str]:
    return ["get", "x:v1", "--root", str(place.target), "--force"]


def _target_is_new(place: Place) -> list[str]:
    return _differing("the target", content_of(place.target), content_of(place.source))


def _target_is_whole(place: Place) -> list[str]:
    return _target_is_new(place) if place.target.exists() else []


def _target_is_updated(place: Place) -> list[str]:
    """The version's files, and the foreign one as it was."""
    found = content_of(place.target)
    foreign = found.pop("foreign", None)
    lost = [] if foreign and foreign == _old_target()["foreign"] else ["a foreign file was changed"]
    return lost + _differing("the target", found, content_of(place.source))


def _files_are_whole(place: Place) -> list[str]:
    """Every file under its final name is the old or the new one."""
    old, new = _old_target(), content_of(place.source)
    found = {path: file for path, file in content_of(place.target).items() if not _is_temporary(path)}
    torn = [path for path, file in found.items() if file not in (old.get(path), new.get(path))]
    gone = sorted(old.keys() - found.keys())
    return [f"half a file in the target: {path}" for path in torn] + [f"gone from the target: {path}" for path in gone]


def _is_temporary(path: str) -> bool:
    return path.rpartition("/")[2].startswith(".artstore-")


def _old_target() -> Content:
    return content_from(_files("one") | {"a/1.txt": b"changed here", "foreign": b"not ours"})


def _differing(what: str, found: Content, expected: Content) -> list[str]:
    paths = [path for path in sorted(found.keys() | expected.keys()) if found.get(path) != expected.get(path)]
    return [f"{what} differs in {', '.join(paths)}"] if paths else []


# -- what moves ----------------------------------------------------------------------------------


def _with_alias(place: Place, ledger: Ledger) -> None:
    _two_versions(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.set_aliases("x:v0", ("best", "kept"))
    ledger.aliases.update({"x:best": [0, 1], "x:kept": [0]})


def _best_is_v1(place: Place) -> list[str]:
    return [] if place.alias("x:best") == 1 else [f"best names v{place.alias('x:best')}"]


def _with_victim(place: Place, ledger: Ledger) -> None:
    """The version that is deleted may be there or not; the other has to be."""
    _with_alias(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.set_aliases("x:v1", ("best", "kept"))
    ledger.aliases.update({"x:best": [1], "x:kept": [1]})
    del ledger.versions["x:v0"]


def _with_rule(place: Place, ledger: Ledger) -> None:
    """A save applies the rule after it is acknowledged: it may let go the victim, and nothing else."""
    _with_victim(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.keep("x", "last:1")
    place.write(_files("third"))


def _accept_again(place: Place) -> None:
    """In the copy, which accepted nothing."""
    with Repository(str(place.store)) as repository:
        repository.accept_keep("x")


def _v0_is_deleted(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        return [] if "deleted" in str(place.by_package(repository, "x:v0")) else ["x:v0 is not deleted"]


def _y_is_x(place: Place) -> list[str]:
    """Both versions of x are in y, with the alias."""
    with Repository(str(place.store)) as repository:
        found = [place.by_package(repository, f"y:v{number}") for number in (0, 1)]
        wrong = [f"y:v{n} is not x:v{n}" for n in (0, 1) if found[n] != place.by_package(repository, f"x:v{n}")]
    return wrong + ([] if place.alias("y:best") == 0 else ["y:best does not name v0"])


def _y_is_whole(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        there = any(state.path.name == "y" and state.live() for state in repository.collections())
    return _y_is_x(place) if there else []


def _is_edited(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        description, metadata = repository.properties(repository.find("x:v1"))
    wanted = ("new", {"long": "x" * 9000})
    return [] if (description, metadata) == wanted else [f"x:v1 has {str((description, metadata))[:80]}"]


def _edit(place: Place) -> list[str]:
    return ["edit", "x:v1", "--set", f"long={'x' * 9000}", "--description", "new"]


def _with_garbage(place: Place, ledger: Ledger) -> None:
    """A dead pack, a pack that is mostly dead (it will be rewritten), a dead large blob; and live ones beside."""
    place.write(_files("live"))
    place.keep(ledger, "live")
    mixed = {f"{number}": _bytes(f"mixed {number}", 2000) for number in range(8)}
    place.write(mixed | {"large": _bytes("dead large", 1_200_000)})
    place.keep(ledger, "mixed")
    place.write({"0": mixed["0"]})
    place.keep(ledger, "mixed")
    place.write(_files("dead"))
    place.keep(ledger, "dead")
    with Repository(str(place.store)) as repository:
        repository.delete("mixed:v0")
        repository.delete_collection("dead")
    del ledger.versions["mixed:v0"], ledger.versions["dead:v0"]


def garbage_is_gone(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        plan = repository.gc(dry_run=True, now=True)
    return [f"gc left {plan.freed_bytes} bytes"] if plan.freed_bytes else []


def with_checkpoints(place: Place, ledger: Ledger) -> None:
    """Large blobs that share segments, steps of a training, a blob that is a segment, one that stays, and small ones."""
    text = [b"".join(b"%08d %d\n" % (line * part, line) for line in range(90_000)) for part in (3, 7, 11)]
    for number in range(2):
        noise = _bytes("noise", 1_100_000)
        step = steps()[number]
        small = {f"small/{part}": text[number][part : part + 9000] for part in range(0, 90_000, 9000)}
        large = {"model": text[0] + text[1 + number], "zeros": bytes(1 << 20), "noise": noise, "step": step}
        place.write(small | large)
        place.keep(ledger, "model")


def _is_packed(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        left = repository.pack(dry_run=True)
    files = left.blobs + left.small_blobs
    return [f"{files} files could still be packed"] if files else []


# -- what stands in several places ---------------------------------------------------------------


def _is_linked(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        found = place.by_package(repository, "registry-models/prod:v0")
        same = found == place.by_package(repository, "x:v1")
    return [] if same else [f"the link is not x:v1: {str(found)[:80]}"]


def _no_half_link(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        there = any(state.path.name == "prod" and state.live() for state in repository.collections())
    return _is_linked(place) if there else []


def _with_parts(place: Place, ledger: Ledger) -> None:
    """A version, and an unfinished one of two parts."""
    place.write(_files("one"))
    place.keep(ledger, "x")
    for number in (1, 2):
        with Repository(str(place.store)) as repository, repository.draft() as draft:
            draft.add_bytes(_bytes(f"part {number}", 900), f"part{number}")
            draft.add_bytes(_bytes(f"large part {number}", 1_100_000), f"large{number}")
            draft.save_part(repository.path_of("parts")[0], "together", writer=f"run {number}")


def _parts_are_whole(place: Place) -> list[str]:
    files = {f"part{n}": _bytes(f"part {n}", 900) for n in (1, 2)}
    files |= {f"large{n}": _bytes(f"large part {n}", 1_100_000) for n in (1, 2)}
    with Repository(str(place.store)) as repository:
        found = place.by_package(repository, "parts")  # v1 where v0 was taken back
    return [] if found == content_from(files) else [f"parts is not what was added: {str(found)[:80]}"]


def _no_half_parts(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        there = any(state.path.name == "parts" and state.live() for state in repository.collections())
    return _parts_are_whole(place) if there else []


# -- repair --------------------------------------------------------------------------------------


def _damage(place: Place) -> None:
    """A byte in a pack and one in a large blob have flipped; the source folder and the remote are right."""
    point_to_copy(place)
    for folder, at in ((place.store / "objects/packs", 100), (place.store / "objects/blobs", 5000)):
        path = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)


def is_mended(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        return [f"after the repair: {problem}" for problem in repository.fsck().problems]


# -- remotes -------------------------------------------------------------------------------------


def with_remote(place: Place, ledger: Ledger) -> None:
    """A repository with two versions, and an empty remote."""
    _with_alias(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.remotes.add("origin", str(place.remote), make=True)


def _pushed(place: Place, ledger: Ledger) -> None:
    """The remote has all that is here."""
    with_remote(place, ledger)
    with Repository(str(place.store)) as repository:
        repository.push()
    ledger.there.update(ledger.versions)


RUN_FILES = {"media/images/a.png": b"small", "model.bin": _bytes("of a run", 1_100_000)}


def pushed_and_on(place: Place, ledger: Ledger) -> None:
    """Then a version more, another collection, an alias that moved, and a run with files: all that the remote lacks."""
    _pushed(place, ledger)
    run = start(str(place.store), id="r")
    for path, data in RUN_FILES.items():
        run.add_file(path, data)
    run.finish(0, {})
    place.write(_files("one") | {"1.txt": b"third", "large/1.bin": _bytes("third", 1_100_000)})
    place.keep(ledger, "x")
    place.keep(ledger, "z")
    with Repository(str(place.store)) as repository:
        repository.set_aliases("x:v2", ("best",))
    ledger.aliases["x:best"] = [2]


def others_pushed(place: Place, ledger: Ledger) -> None:
    """Somebody else has pushed a version to the remote, whose number a version of ours has."""
    _pushed(place, ledger)
    other = Place(place.folder / "other")
    repository, _ = Repository.clone(str(place.remote), str(other.store))
    with repository:
        other.write(_files("theirs"))
        repository.put(str(other.source), "x")
        repository.push()
    ledger.there["x:v2"] = content_of(other.source)
    shutil.rmtree(other.folder)
    place.write(_files("ours"))
    with Repository(str(place.store)) as repository:
        repository.put(str(place.source), "x", aliases=("ours",))
    ledger.aliases["x:ours"] = [2, 3]  # the pull renumbers it


def _only_a_remote(place: Place, ledger: Ledger) -> None:
    _pushed(place, ledger)
    shutil.rmtree(place.store)
    ledger.versions.clear()
    ledger.aliases.clear()


def point_to_copy(place: Place) -> None:
    """In the copy, the remote is the copy's."""
    Settings(str(place.store)).set_remote("origin", RemoteSettings(str(place.remote)))


def is_pushed(place: Place) -> list[str]:
    """The remote's newest versions are ours, and so is what an alias names."""
    problems = []
    for name in ("x", "z"):
        ours, theirs = place.latest(name), place.latest(name, there=True)
        if isinstance(ours, dict) and ours != theirs:
            problems.append(f"the newest version of {name} is not the remote's: {str(theirs)[:100]}")
    if (place.store / "runs/local/uncategorized/r").exists():
        run = Reader(place.remote).run("local", "uncategorized", "r")
        if run["trees"] != {os.fsencode(path): (len(data), hashed(data)) for path, data in RUN_FILES.items()}:
            problems.append(f"the run's files aren't all at the remote: {run['trees']}")
    if place.alias("x:best", there=True) != place.alias("x:best"):
        problems.append(f"best names v{place.alias('x:best', there=True)} at the remote")
    return problems


def is_pulled(place: Place) -> list[str]:
    """Theirs has its number here, and ours is behind it."""
    with Repository(str(place.store)) as repository, Repository(str(place.remote)) as remote:
        ours, theirs = (place.by_package(one, "x:v2") for one in (repository, remote))
        moved = place.by_package(repository, "x:v3")
    wrong = [] if ours == theirs else [f"x:v2 is not the remote's: {str(ours)[:100]}"]
    wrong += [] if moved == content_of(place.source) else [f"x:v3 is not what x:v2 was here: {str(moved)[:100]}"]
    return wrong + ([] if place.alias("x:ours") == 3 else [f"ours names v{place.alias('x:ours')}"])


def nothing_of_ours_is_lost(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository:
        found = [place.by_package(repository, f"x:v{number}") for number in (2, 3)]
    return [] if content_of(place.source) in found else ["our version is neither x:v2 nor x:v3"]


def _is_cloned(place: Place) -> list[str]:
    with Repository(str(place.store)) as repository, Repository(str(place.remote)) as remote:
        specs = [f"x:v{number}" for number in (0, 1)]
        wrong = [
            f"{spec} is not the remote's"
            for spec in specs
            if place.by_package(repository, spec) != place.by_package(remote, spec)
        ]
    return wrong + ([] if place.alias("x:best") == 0 else [f"best names v{place.alias('x:best')}"])


def _clone(place: Place) -> list[str]:
    return ["clone", str(place.remote), str(place.folder)]


COMMANDS: dict[str, Command] = {
    "put-first": Command(_source_only, _put, is_latest),
    "put-large": Command(_many_large, _put, is_latest),
    "put-second": Command(_second_save, _put, is_latest),
    "put-changed": Command(_saved_source, _put, is_latest, warm=_change_known_source),
    "put-merge": Command(_eighth_pack, _put, is_latest),
    "get-new": Command(_two_versions, _get, _target_is_new, _target_is_whole),
    "get-existing": Command(_with_target, _get, _target_is_updated, _files_are_whole),
    "get-update": Command(_two_versions, _get, _target_is_updated, _files_are_whole, warm=_get_old),
    "alias": Command(_with_alias, lambda place: ["alias", "x:v1", "best"], _best_is_v1),
    "rm": Command(_with_victim, lambda place: ["rm", "x:v0"], _v0_is_deleted, already="was deleted on"),
    "cp": Command(_with_alias, lambda place: ["cp", "x", "y"], _y_is_x, _y_is_whole),
    "mv": Command(_with_alias, lambda place: ["mv", "x", "y"], _y_is_x, _y_is_whole, already="is in use"),
    "edit": Command(_two_versions, _edit, _is_edited),
    "link": Command(_with_alias, lambda place: ["link", "x:v1", "registry-models/prod"], _is_linked, _no_half_link),
    "finish": Command(
        _with_parts,
        lambda place: ["pending", "finish", "parts", "together"],
        _parts_are_whole,
        _no_half_parts,
        already="no unfinished",
    ),
    "put-keep": Command(_with_rule, _put, is_latest, again=_v0_is_deleted, warm=_accept_again),
    "prune": Command(_with_victim, lambda place: ["prune", "x", "--keep", "last:1"], _v0_is_deleted),
    "repair": Command(_pushed, lambda place: ["fsck", "--repair"], is_mended, warm=_damage, mends=True),
    "pack": Command(with_checkpoints, lambda place: ["pack"], _is_packed),
    "gc": Command(_with_garbage, lambda place: ["gc", "--now"], garbage_is_gone),
    "push": Command(with_remote, lambda place: ["push"], is_pushed, warm=point_to_copy),
    "push-again": Command(pushed_and_on, lambda place: ["push"], is_pushed, warm=point_to_copy),
    "pull": Command(others_pushed, lambda place: ["pull"], is_pulled, nothing_of_ours_is_lost, warm=point_to_copy),
    "clone": Command(_only_a_remote, _clone, _is_cloned),
}
