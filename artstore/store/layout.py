"""The layout of a repository: its folders and its `format` file; making a new one, and finding a remote's."""

import os
import re
from typing import Any, Literal, NamedTuple

from artstore.backends import owner as owners
from artstore.backends.addresses import expanded, refuse_address
from artstore.backends.durability import sync_folder
from artstore.backends.files import remove_tree, write_file
from artstore.backends.mounts import is_local
from artstore.backends.places import open_storage
from artstore.backends.storage import FolderStorage, Readable, Storage, is_url
from artstore.domain.codec import decode_json, encode_json
from artstore.domain.names import printable
from artstore.errors import Damage, NotFound, UnsupportedFormat
from artstore.store.settings import FOLDER, is_repository

FORMAT = 1
Operation = Literal["read", "write", "gc"]
FEATURES: dict[str, frozenset[str]] = {"read": frozenset(), "write": frozenset(), "gc": frozenset()}
"""The features that this artstore knows, by operation."""

FOLDERS = ("objects/packs", "objects/blobs", "refs", "tmp", "trash", "bad", "cache")

_LONGEST = 1 << 16
"""Most bytes of a `format` file that are read; ours has about a hundred."""
_OPERATIONS = {"read": "read it", "write": "write to it", "gc": "collect garbage in it"}


class Format(NamedTuple):
    """The content of a repository's `format` file."""

    id: str
    features: dict[str, set[str]]
    """the features that are needed, by operation"""

    def unknown(self, operation: Operation) -> set[str]:
        """The features that an operation needs and this artstore lacks. Every operation needs those for reading."""
        return (self.features["read"] - FEATURES["read"]) or (self.features[operation] - FEATURES[operation])


def check_format(storage: Readable, operation: Operation) -> Format:
    """Read the `format` file and check that this artstore may do an operation.

    Raises NotFound if there is no such file, and UnsupportedFormat if we wouldn't have written it or if the operation
    needs a feature that this artstore lacks.

    An operation that relies on stored files calls this after it has made its claim (a transaction or a trash folder). A
    process that adds a feature first replaces the file and then looks for claims, so one of the two sees the other.
    """
    found = _read_format(storage)
    if unknown := found.unknown(operation):
        refused = "read" if found.unknown("read") else operation
        what = f"{printable(storage.root)} uses '{printable(min(unknown))}', which this artstore does not know"
        raise UnsupportedFormat(f"{what}: it must not {_OPERATIONS[refused]}", hint="update artstore")
    return found


def _read_format(storage: Readable) -> Format:
    where = printable(storage.root)
    try:
        value = decode_json(storage.read("format", 0, _LONGEST), f"{where}/format")
    except FileNotFoundError:
        hint = "`artstore init` makes one; an unmounted share looks like this too"
        raise NotFound(f"there is no repository in {where}", hint=hint) from None
    except Damage as error:
        raise UnsupportedFormat(f"{where} is not an artstore repository: {error}") from error
    number = value.get("artstore") if type(value) is dict else None
    if type(number) is not int:
        raise UnsupportedFormat(f"{where} is not an artstore repository: its format file has no format number")
    if number != FORMAT:
        what = f"{where} has format {number}; this artstore knows format {FORMAT}"
        raise UnsupportedFormat(what, hint="update artstore")
    features, id = value.get("features"), value.get("id")
    whole = (
        value.keys() == {"artstore", "features", "id"}
        and type(id) is str
        and re.fullmatch(r"[0-9a-f]{32}", id) is not None
        and type(features) is dict
        and features.keys() == FEATURES.keys()
        and all(type(names) is list and all(type(name) is str for name in names) for names in features.values())
    )
    if not whole:
        raise UnsupportedFormat(f"{where}/format is damaged: it does not hold what a repository's does")
    return Format(id, {operation: set(names) for operation, names in features.items()})


def new_format() -> dict[str, Any]:
    """The content of a new repository's `format` file."""
    return {"artstore": FORMAT, "features": {operation: [] for operation in FEATURES}, "id": os.urandom(16).hex()}


def make(root: str, *, shared: bool = False, config: str = "") -> None:
    """Make a repository, which appears at `root` whole, in one step.

    `shared` makes it writable for the group of the folder that it is in, whatever the umask. `config` is its
    first settings.
    """
    # Remove what dead processes left half made.
    parent, name = os.path.split(root)
    os.makedirs(parent, exist_ok=True)
    prefix = f"{name}.new-"
    for left in os.listdir(parent):
        owner = owners.parse(left.removeprefix(prefix)) if left.startswith(prefix) else None
        if owner is not None and owners.is_dead(owner, local=is_local(parent)):
            remove_tree(os.path.join(parent, left))
    # Build it under another name.
    building = os.path.join(parent, f"{prefix}{owners.this_process()}")
    try:
        os.mkdir(building)
        if shared:
            os.chown(building, -1, os.stat(parent).st_gid)
            os.chmod(building, 0o2775)
        storage = FolderStorage(building)
        for folder in FOLDERS:
            storage.make_folder(folder)
        storage.reserve()
        write_file(os.path.join(building, ".gitignore"), b"*\n", sync=True)
        write_file(os.path.join(building, "format"), encode_json(new_format()), mode=0o444, sync=True)
        if config:
            write_file(os.path.join(building, "config"), config.encode(), mode=0o644, sync=True)
        for name in ("format", ".gitignore") if shared else ():
            os.chmod(os.path.join(building, name), 0o444)
        # Make it durable, then give it its name; another process may have made one there first.
        sync_folder(os.path.join(building, "objects"))
        sync_folder(building)
        try:
            os.rename(building, root)
        except OSError:
            if not is_repository(root):
                raise
        sync_folder(parent)
    finally:
        if os.path.lexists(building):
            remove_tree(building)


def storage_at(place: str, here: FolderStorage | None) -> Storage:
    """The storage of a remote, given by a URL or by the path of a folder that is a repository or contains one."""
    if not is_url(place):
        refuse_address(place)
        place = os.path.abspath(expanded(place))
        if not is_repository(place) and is_repository(f"{place}/{FOLDER}"):
            place = f"{place}/{FOLDER}"
    return open_storage(place, scratch=here.path("tmp") if here is not None else None, foreign=True)
