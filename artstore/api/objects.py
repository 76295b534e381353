"""Objects of an artifact: tables and media, as the files that W&B makes of them."""

from collections.abc import Callable, Iterator
from typing import Any

from artstore.api.media.content import Content, LocalFile, read
from artstore.api.media.value import Media, MediaSource, read_json
from artstore.api.tables.joined import GROUPS, TableGroup
from artstore.api.tables.naming import SUFFIX, is_table
from artstore.errors import Damage
from artstore.operations.saving.draft import Draft

_AT_ONCE = 16 << 20
"""The most bytes of a file that are in memory while it is added."""
_CHUNK = 1 << 20


def object_paths(name: str) -> Iterator[str]:
    """The paths at which an object with this name may be: the table first, then media."""
    if is_table(name):
        yield name
    yield name + SUFFIX
    for group in GROUPS:
        yield group.with_suffix(name)
    from artstore.api.media.kinds import KINDS

    for kind in KINDS.values():
        yield kind.with_suffix(name)


def group_at(path: str, open_: Callable[[], Any], artifact: Any, what: str) -> TableGroup | None:
    """The group of tables in a file of an artifact; None if the file is of something else."""
    kind = next((kind for kind in GROUPS if path.endswith(f".{kind.type_name}.json")), None)
    return None if kind is None else kind.from_json(read_json(open_, what), artifact)


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


def put_files(draft: Draft, files: dict[str, Content], shared: Callable[[Content, str], bool]) -> None:
    """Add the files of media to a draft. `shared(content, path)` adds what is stored already, or is elsewhere."""
    for path, content in files.items():
        if not shared(content, path):
            _put(draft, content, path)


def _put(draft: Draft, content: Content, path: str) -> None:
    if isinstance(content, LocalFile):
        content.check()
        draft.add_file(content.path, path, overwrite=False)
    elif content.size <= _AT_ONCE:
        draft.add_bytes(read(content), path, overwrite=False)
    else:
        staged = draft.staged_file(path)
        with content.open() as source, open(staged, "xb") as file:
            while data := source.read(_CHUNK):
                file.write(data)
        draft.add_staged(staged, path)
