"""Importing from DVC: the outputs of `.dvc` files and `dvc.lock` at each tag or commit, from DVC's cache."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from artstore.adapters.confining import Source, add_checked, checked
from artstore.adapters.importing import MALFORMED, Left, Taken, alias_from, saved
from artstore.domain.collection import Path
from artstore.domain.digest import Digest
from artstore.domain.names import name_from, printable
from artstore.domain.plain import loaded, settings_of
from artstore.domain.wording import quoted
from artstore.errors import Damage, InvalidValue, NotFound, Refused
from artstore.operations.saving.draft import Draft
from artstore.repository import Repository

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Revision(NamedTuple):
    """A git commit, or the working folder of a repository without git."""

    commit: str
    date: str
    """ISO 8601"""
    tags: list[str]


class Output(NamedTuple):
    """An output of DVC: a file, or (with an MD5 that ends in `.dir`) a folder."""

    path: str
    md5: str
    newer: bool
    """whether DVC 3 stored it, under the MD5 of its bytes; older versions converted line ends before hashing"""


def import_dvc(
    repository: Repository, folder: str, project: str, type: str, *, commits: bool, cache: str | None = None
) -> Iterator[Taken | Left]:
    """Import outputs. Each becomes an artifact of that name, each of its contents a version, and each tag an alias.

    Versions are made in the order of the commits. Files are cloned from the cache if the file system can. Yields what
    was imported, and what was not. Raises NotFound if the folder isn't a DVC repository.

    Args:
        cache: A folder that is DVC's cache, too. One outside of the repository is read only if it is named here.
    """
    if not os.path.isdir(os.path.join(folder, ".dvc")):
        raise NotFound(f"{printable(folder)} is not a DVC repository", hint="name the folder that contains .dvc")
    source = Source(folder)
    caches, outside = _caches(source, cache)
    yield from outside
    seen: set[tuple[str, str]] = set()
    for revision in _revisions(folder, commits):
        for found in _outputs(source, revision):
            if isinstance(found, Left):
                yield found
            elif (found.path, found.md5) not in seen or revision.tags:
                seen.add((found.path, found.md5))
                what = f"{found.path} at {_named(revision)}"
                try:
                    yield _save(repository, caches, found, revision, project, type, what)
                except MALFORMED as error:
                    yield Left.of(what, error)


def _save(
    repository: Repository,
    caches: list[Source],
    output: Output,
    revision: Revision,
    project: str,
    type: str,
    source: str,
) -> Taken:
    """Save one output at one commit as a version."""
    path = Path(repository.settings.entity, project, name_from(output.path))
    about = {"path": output.path, "md5": output.md5, "commit": revision.commit, "date": revision.date}
    with repository.draft() as draft:
        _fill(draft, caches, output)
        done = saved(repository, draft, path, {"dvc": about}, type=type, aliases=map(alias_from, revision.tags))
    return Taken("version", f"{path}:v{done.number}", source, done.is_new)


def _fill(draft: Draft, caches: list[Source], output: Output) -> None:
    """Add an output's files to a draft."""
    found = _cached(caches, output.md5, output.newer)
    if not output.md5.endswith(".dir"):
        add_checked(draft, found.path, os.path.basename(output.path), found.digest)
        return
    for entry in json.loads(found.cache.small_file(found.path)):
        file = _cached(caches, entry["md5"], output.newer)
        add_checked(draft, file.path, str(entry["relpath"]), file.digest)


class _Cached(NamedTuple):
    """A file in DVC's cache."""

    cache: Source
    path: str
    digest: Digest


def _cached(caches: list[Source], md5: str, newer: bool) -> _Cached:
    """The file with an MD5, in the first cache that has it.

    Raises Damage if its MD5 differs, NotFound if no cache has it. The MD5 of an output of DVC 2 can't be checked,
    because it isn't that of the bytes.
    """
    if not isinstance(md5, str) or not _MD5.fullmatch(md5):
        raise Damage(f"'{printable(str(md5)[:80])}' is not a digest of DVC's")
    for cache in caches:
        for place in (f"{cache.root}/files/md5/{md5[:2]}/{md5[2:]}", f"{cache.root}/{md5[:2]}/{md5[2:]}"):
            if os.path.isfile(place):
                cache.require(place)
                real = os.path.realpath(place)
                content = checked(cache.open(real))
                if newer and content.md5.hex() != md5.removesuffix(".dir"):
                    raise Damage(f"{printable(place)} is damaged: it does not have the MD5 that DVC recorded")
                return _Cached(cache, real, content.digest)
    raise NotFound(f"{md5} is not in DVC's cache: `dvc fetch --all-tags` gets it from a remote of DVC's")


def _caches(source: Source, named: str | None) -> tuple[list[Source], list[Left]]:
    """The folders in which DVC stores content: the one that the user named, those in its config, then its default.

    Those outside of the repository are left out, unless the user named them.
    """
    own, found, left = os.path.join(source.root, ".dvc"), list[str](), list[Left]()
    for name in ("config.local", "config"):
        path = os.path.join(own, name)
        try:
            config = settings_of(source.small_file(path), printable(path))
        except FileNotFoundError:
            continue
        except Damage as error:
            raise InvalidValue(str(error)) from None
        if directory := config.get("cache", "dir", fallback=None):
            found.append(os.path.join(own, directory.strip("'\"")))
    for place in [*found, os.path.join(own, "cache")]:
        if named is None and not source.holds(place):
            way = f"`--cache {quoted(os.path.realpath(place))}` reads it"
            left.append(Left(f"the cache {printable(place)}", f"it is outside of {printable(source.root)}: {way}"))
    inside = [Source(place) for place in [*found, os.path.join(own, "cache")] if source.holds(place)]
    return [Source(named), *inside] if named is not None else inside, left


# -- reading git --


def _named(revision: Revision) -> str:
    """The name of a revision for people."""
    return revision.tags[0] if revision.tags else revision.commit[:12] or "the working folder"


def _revisions(folder: str, commits: bool) -> list[Revision]:
    """The revisions to import, oldest first: tagged commits and HEAD, or with `commits` all ancestors of HEAD.

    Without git, it is the folder as it is.
    """
    try:
        chosen = ["HEAD"] if commits else ["--no-walk=sorted", "--tags", "HEAD"]
        listed = _git(folder, "log", "--reverse", "--date-order", "--format=%H %cI", *chosen, "--")
        tagged = _git(folder, "for-each-ref", "--format=%(objectname) %(*objectname) %(refname:lstrip=2)", "refs/tags")
    except NotFound:
        if os.path.exists(os.path.join(folder, ".git")):
            raise
        return [Revision("", "", [])]
    tags: dict[str, list[str]] = {}
    for line in tagged.decode("utf-8", "replace").splitlines():
        own, behind, name = line.split(" ", 2)
        tags.setdefault(behind or own, []).append(name)
    revisions = [line.split(" ", 1) for line in listed.decode().splitlines()]
    return sorted((Revision(commit, date, tags.get(commit, [])) for commit, date in revisions), key=lambda r: r.date)


def _outputs(source: Source, revision: Revision) -> Iterator[Output | Left]:
    """The outputs that DVC's own files list at a revision."""
    for name, read in _files(source, revision):
        above, what = os.path.dirname(name), f"{name} at {_named(revision)}"
        try:
            told = loaded(read(), printable(name))
            if os.path.basename(name) == "dvc.lock":
                outs = [out for said in told.get("stages", told).values() for out in said.get("outs", ())]
            else:
                outs = told.get("outs", [])
            found = [_output(out, above, name, revision) for out in outs]
        except MALFORMED as error:
            yield Left.of(what, error)
            continue
        yield from found


def _output(out: Any, above: str, name: str, revision: Revision) -> Output | Left:
    path, md5 = os.path.normpath(os.path.join(above, out["path"])), out.get("md5")
    source = f"{path} at {_named(revision)}"
    if md5 is None:
        return Left(source, f"{name} has no MD5 for it")
    return Output(path, str(md5), out.get("hash") == "md5")


def _files(source: Source, revision: Revision) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """DVC's own files at a commit, or in the folder: (path, function that reads it)."""
    folder = source.root
    if revision.commit:
        listed = _git(folder, "ls-tree", "-r", "-z", "--name-only", revision.commit)
        for name in map(os.fsdecode, listed.split(b"\0")):
            if name.endswith(".dvc") or os.path.basename(name) == "dvc.lock":
                yield name, partial(_git, folder, "cat-file", "blob", f"{revision.commit}:./{name}")
        return
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {".dvc", ".git", ".artifacts"})
        for name in sorted(names):
            if name.endswith(".dvc") or name == "dvc.lock":
                path = os.path.join(place, name)
                yield os.path.relpath(path, folder), partial(source.small_file, path)


def _require_own(folder: str) -> None:
    """Raises Refused if the folder has a `.git` that leads elsewhere: somebody else may have made it.

    Without one, git looks for a repository in the folders above, which are the user's.
    """
    place = os.path.join(folder, ".git")
    if not os.path.lexists(place):
        return
    objects = os.path.join(place, "objects")
    leading = [place, objects, os.path.join(objects, "pack"), os.path.join(place, "refs")]
    elsewhere = any(os.path.islink(path) for path in leading) or not os.path.isdir(place)
    if elsewhere or any(map(os.path.lexists, (f"{place}/commondir", f"{objects}/info/alternates"))):
        copied = f"`git clone {quoted(folder)} COPY`"
        raise Refused(
            f"{printable(place)} leads to another folder, so it is not read",
            hint=f"{copied}, then `artstore import dvc COPY --cache {quoted(folder)}/.dvc/cache`",
        )


def _git(folder: str, *arguments: str) -> bytes:
    """git's output.

    Nothing that the repository's config or hooks name is run. Raises NotFound if git fails or is missing.
    """
    _require_own(folder)
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    own = {name: value for name, value in os.environ.items() if name not in elsewhere}
    quiet = own | {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    inert = (
        "core.fsmonitor=false",
        f"core.hooksPath={os.devnull}",
        "core.pager=cat",
        "log.showSignature=false",
        "safe.bareRepository=explicit",
    )
    settings = [word for setting in inert for word in ("-c", setting)]
    command = ["git", *settings, "-C", folder, "--no-pager", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=quiet, check=False)
    except FileNotFoundError as error:
        raise NotFound("there is no git here") from error
    if done.returncode:
        why = printable(done.stderr.decode("utf-8", "replace").strip())
        raise NotFound(f"git {arguments[0]} fails in {printable(folder)}: {why}")
    return done.stdout
