"""What a golden repository is expected to tell, from what was put into it: digests by FORMAT.md, without the package."""

import os
from typing import Any

from blake3 import blake3
from msgpack import packb

Files = dict[str, str | bytes | None]
"""As `conftest.make_tree` takes them: None makes an empty folder, a name that ends in `*` an executable file."""
Tree = tuple[bytes, int, int]
"""digest, size, files"""


def expand(files: Files) -> Files:
    """`f{0000..0099}` stands for a hundred names."""
    found: Files = {}
    for name, content in files.items():
        head, brace, rest = name.partition("{")
        first, _, last = rest.rstrip("}").partition("..")
        numbers = range(int(first), int(last) + 1) if brace else ()
        found |= {f"{head}{number:0{len(first)}}": content for number in numbers} if brace else {name: content}
    return found


def lines(count: int, of: str) -> str:
    return "".join(f"{of} {number}\n" for number in range(count))


def b3(content: str | bytes) -> str:
    return blake3(content.encode() if isinstance(content, str) else content).hexdigest()


def listed(files: Files) -> dict[str, list[Any]]:
    """Each file's kind, size and digest, by path."""
    found: dict[str, list[Any]] = {}
    for name, content in files.items():
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            found[name.removesuffix("*")] = [int(name.endswith("*")), len(data), b3(data)]
    return found


def tree_of(files: Files) -> Tree:
    """The root tree of a folder with these files."""
    below: dict[bytes, Files] = {}
    entries: dict[bytes, list[Any]] = {}
    for name, content in files.items():
        first, slash, rest = name.partition("/")
        if slash:
            below.setdefault(os.fsencode(first), {})[rest] = content
        elif content is None:
            below.setdefault(os.fsencode(first), {})
        else:
            kind, size, digest = listed({name: content})[name.removesuffix("*")]
            first_bytes = os.fsencode(first.removesuffix("*"))
            entries[first_bytes] = [first_bytes, kind, size, bytes.fromhex(digest)]
    for first_bytes, inside in below.items():
        digest, size, count = tree_of(inside)
        entries[first_bytes] = [first_bytes, 2, size, digest, count]
    return encoded([entries[name] for name in sorted(entries)])


def encoded(entries: list[list[Any]]) -> Tree:
    """A folder's tree, split where it has too many entries."""
    size, count = sum(e[2] or 0 for e in entries), sum(e[4] if e[1] in (2, 3) else 1 for e in entries)
    if len(entries) <= 16384:
        return _hashed(entries), size, count
    parts: list[list[list[Any]]] = [[]]
    for entry in entries:
        if parts[-1] and blake3(entry[0]).hexdigest().startswith("000"):
            parts.append([])
        parts[-1].append(entry)
    rows = [[part[0][0], 3, sum(e[2] or 0 for e in part), _hashed(part), len(part)] for part in parts]
    return _hashed(rows), size, count


def _hashed(entries: list[list[Any]]) -> bytes:
    return blake3(packb(entries), derive_key_context="artstore 2026-11-21 tree").digest()


def version(files: Files, tree: Tree | None = None, **said: Any) -> dict[str, Any]:
    """A version with these files, of which nothing was said but this. `files` may be as `listed` gives them."""
    digest, size, count = tree or tree_of(expand(files))
    nothing = {"live": True, "run": None, "parents": [], "source": None, "origins": {}}
    nothing |= {"tags": [], "description": None, "metadata": {}, "ttl": "inherit"}
    return nothing | {"digest": digest.hex(), "size": size, "count": count, "files": listed(files)} | said


def collection(type: str, *versions: dict[str, Any], **said: Any) -> dict[str, Any]:
    """A collection of these versions, numbered from 0, of which nothing was said but this."""
    nothing = {
        "exists": True,
        "redirect": None,
        "aliases": {},
        "tags": [],
        "description": None,
        "metadata": {},
        "unfinished": {},
    }
    return nothing | {"type": type, "versions": {str(n): one for n, one in enumerate(versions)}} | said


def run(**said: Any) -> dict[str, Any]:
    """A run that ended well, and of which nothing was said but this."""
    nothing = {
        "config": {},
        "summary": {},
        "used": {},
        "logged": [],
        "rows": [],
        "name": None,
        "notes": None,
        "tags": [],
    }
    return nothing | {"job_type": None, "group": None, "state": "finished", "code": 0, "deleted": False} | said
