"""Objects of an artifact: tables and media, as the files that W&B makes of them."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Any

from artstore.api.media.content import Content, Kept, LocalFile, Reference, StoredFile, read
from artstore.api.media.value import Media, MediaSource, Told, read_json
from artstore.api.tables.file import ENDING, SUFFIX
from artstore.errors import Damage
from artstore.operations.saving.draft import Draft

_AT_ONCE = 16 << 20
"""The most bytes of a file that are in memory while it is added."""
_CHUNK = 1 << 20


def object_paths(name: str) -> Iterator[str]:
    """The paths at which an object with this name may be: the table first, then media."""
    if name.endswith(ENDING):
        yield name
    yield name + SUFFIX
    from artstore.api.media.kinds import KINDS

    for kind in KINDS.values():
        yield kind.with_suffix(name)


def media_at(path: str, open_: Callable[[], Any], source: MediaSource, what: str) -> Media:
    """The object in a file. Raises Damage if there is none."""
    from artstore.api.media.kinds import KINDS, recorded, revived

    told = read_json(open_, what)
    kind = next(kind for name, kind in KINDS.items() if path.endswith(f"{name}.json"))
    if isinstance(told, list):  # boxes are only a list
        return recorded(kind, told, source)
    found = revived(told, source)
    if not isinstance(found, kind):
        raise Damage(f"{what} is not an object of type '{kind.type_name}'")
    return found


class DraftPlace:
    """The files of the media of one object, which are added to a draft when all are known."""

    in_run = False

    def __init__(self) -> None:
        self._files: dict[str, Content] = {}

    def store(self, content: Content, folder: str, ending: str) -> Told:
        """Take a file, and return the fields that name it. A file of another artifact keeps its path."""
        path = f"{folder}/{content.sha256[:20]}" + (f"/{content.name}" if content.name else ending)
        if isinstance(content, StoredFile) and content.path.startswith("media/"):
            known = self._files.get(content.path)
            path = content.path if known is None or known.sha256 == content.sha256 else path
        self._files.setdefault(path, content)
        return {"path": path, "sha256": content.sha256}

    def store_named(self, value: Any, path: str) -> Told:
        """Take a JSON file, and return the fields that name it."""
        if path not in self._files:
            self._files[path] = Kept(json.dumps(value, sort_keys=True).encode())
        digest = md5(read(self._files[path]), usedforsecurity=False).digest()
        return {"path": path, "digest": b64encode(digest).decode()}

    def put_into(self, draft: Draft, shared: Callable[[Content, str], bool]) -> list[str]:
        """Add the files, and return their paths. `shared(content, path)` adds what is stored already, or elsewhere."""
        for path, content in self._files.items():
            if not shared(content, path):
                _put(draft, content, path)
        return list(self._files)


def _put(draft: Draft, content: Content, path: str) -> None:
    if isinstance(content, LocalFile):
        content.check()
        draft.add_file(content.path, path, overwrite=False)
    elif isinstance(content, Reference) or content.size <= _AT_ONCE:
        draft.add_bytes(read(content), path, overwrite=False)
    else:
        staged = draft.staged_file(path)
        with content.open() as source, open(staged, "xb") as file:
            while data := source.read(_CHUNK):
                file.write(data)
        draft.add_staged(staged, path)
