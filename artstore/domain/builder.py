"""Building a tree: only the folders that change are opened; all others are kept as they are stored."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeGuard, Union

from artstore.domain.digest import Digest
from artstore.domain.names import printable
from artstore.domain.tree import DIRECTORY, Folder, Row, encode_folder, read_folder, walk
from artstore.errors import Conflict

Node = dict[bytes, Union[Row, "Node"]]
"""A folder that is open for change: its entries and open folders by name. An unchanged folder stays an entry."""
Parts = tuple[bytes, ...]


class PathTaken(Conflict):
    """Something else is at a path."""

    def __init__(self, parts: Parts, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.parts = parts


class TreeBuilder:
    """A tree that starts empty. A grafted folder isn't opened or encoded again until something in it changes."""

    def __init__(self, read: Callable[[Digest], bytes]) -> None:
        self._read = read
        self._root: Node = {}
        self._whole: Folder | None = None

    def put(self, parts: Parts, entry: Row, *, overwrite: bool = True) -> None:
        """Set one file. Raises Conflict if the path is a folder, or (unless `overwrite`) a file with other content."""
        node = self._opened_at(parts[:-1])
        there = node.get(parts[-1])
        if there is not None and (_is_folder(there) or (not overwrite and not _same_content(there, entry))):
            raise _twice(parts, there)
        node[parts[-1]] = entry

    def graft(self, parts: Parts, folder: Folder, *, overwrite: bool = True) -> None:
        """Add a whole folder at a path, and keep what is there already. All or nothing; raises Conflict like `put`."""
        if not parts and not self._root and self._whole is None:
            self._whole = folder
            return
        if (file := self.find(parts)) is not None:
            raise _twice(parts, file)
        there = self._node_at(parts)
        if there is None and parts:
            node = self._opened_at(parts[:-1])
            node[parts[-1]] = (parts[-1], DIRECTORY, folder.size, folder.digest, folder.files)
            return
        entries = self._entries(folder.digest)
        self._check(parts, there or {}, entries, overwrite)
        self._merge(self._opened_at(parts), entries)

    def remove(self, parts: Parts) -> bool:
        """Remove a file or folder, and each folder above it that is empty then. Returns False if nothing is there."""
        node = self._node_at(parts[:-1])
        if node is None or parts[-1] not in node:
            return False
        del self._opened_at(parts[:-1])[parts[-1]]
        for depth in range(len(parts) - 1, 0, -1):
            if self._opened_at(parts[:depth]):
                break
            del self._opened_at(parts[: depth - 1])[parts[depth - 1]]
        return True

    def find(self, parts: Parts) -> Row | None:
        """The file at a path, or None if there is a folder or nothing."""
        if not parts:
            return None
        node = self._node_at(parts[:-1])
        found = None if node is None else node.get(parts[-1])
        return found if _is_file(found) else None

    def files_among(self, paths: Iterable[Parts]) -> set[Parts]:
        """Those of some paths at which there is a file. Each folder is read once."""
        names: dict[Parts, list[bytes]] = {}
        for parts in paths:
            names.setdefault(parts[:-1], []).append(parts[-1])
        nodes = ((folder, self._node_at(folder) or {}, below) for folder, below in names.items())
        return {(*folder, name) for folder, node, below in nodes for name in below if _is_file(node.get(name))}

    def holds(self, parts: Parts) -> bool:
        """Whether there is a file or folder at a path."""
        node = self._node_at(parts[:-1])
        return node is not None and parts[-1] in node

    def files(self) -> Iterator[tuple[bytes, Row]]:
        """(path, entry) of all entries except folders, in the tree's order."""
        if self._whole is not None:
            yield from _files(self._whole.digest, self._read, b"")
        else:
            yield from self._files_of(self._root, b"")

    def _files_of(self, node: Node, prefix: bytes) -> Iterator[tuple[bytes, Row]]:
        for name in sorted(node):
            item = node[name]
            if isinstance(item, dict):
                yield from self._files_of(item, prefix + name + b"/")
            elif item[1] == DIRECTORY:
                yield from _files(item[3], self._read, prefix + name + b"/")
            else:
                yield prefix + name, item

    def folder(self, add: Callable[[bytes], Digest]) -> Folder:
        """Encode the root as trees. `add` is called with each tree's bytes, stores them and returns their digest."""
        return self._encode(self._root, add) if self._whole is None else self._whole

    def _encode(self, node: Node, add: Callable[[bytes], Digest]) -> Folder:
        entries = []
        for name in sorted(node):
            item = node[name]
            if isinstance(item, dict):
                folder = self._encode(item, add)
                item = (name, DIRECTORY, folder.size, folder.digest, folder.files)
            entries.append(item)
        return encode_folder(entries, add)

    # -- folders --

    def _entries(self, tree: Digest) -> dict[bytes, Row]:
        return {entry[0]: entry for entry in read_folder(tree, self._read)}

    def _node_at(self, parts: Parts) -> Node | None:
        """The folder at a path, only for reading, or None if there is no folder."""
        node: Node = {**self._entries(self._whole.digest)} if self._whole is not None else self._root
        for name in parts:
            there = node.get(name)
            if there is None or not _is_folder(there):
                return None
            node = there if isinstance(there, dict) else {**self._entries(there[3])}
        return node

    def _opened_at(self, parts: Parts) -> Node:
        """The folder at a path, open for change. Missing folders are made; raises Conflict if a file is in the way."""
        if self._whole is not None:
            self._root, self._whole = {**self._entries(self._whole.digest)}, None
        node = self._root
        for number, name in enumerate(parts):
            there = node.setdefault(name, {})
            if not _is_folder(there):
                raise _twice(parts[: number + 1], there)
            node = self._opened(node, name)
        return node

    def _opened(self, node: Node, name: bytes) -> Node:
        there = node[name]
        if not isinstance(there, dict):
            there = node[name] = {**self._entries(there[3])}
        return there

    def _check(self, parts: Parts, node: Node, entries: dict[bytes, Row], overwrite: bool) -> None:
        for name, entry in entries.items():
            there = node.get(name)
            if there is None or _same_content(there, entry):
                continue
            if _is_folder(there) and entry[1] == DIRECTORY:
                below: Node = there if isinstance(there, dict) else {**self._entries(there[3])}
                self._check((*parts, name), below, self._entries(entry[3]), overwrite)
            elif _is_folder(there) or entry[1] == DIRECTORY or not overwrite:
                raise _twice((*parts, name), there)

    def _merge(self, node: Node, entries: dict[bytes, Row]) -> None:
        for name, entry in entries.items():
            there = node.get(name)
            if there is not None and _is_folder(there) and _is_folder(entry):
                if isinstance(there, dict) or not _same_content(there, entry):
                    self._merge(self._opened(node, name), self._entries(entry[3]))
            else:
                node[name] = entry


def _is_file(item: Row | Node | None) -> TypeGuard[Row]:
    return item is not None and not _is_folder(item)


def _is_folder(item: Row | Node) -> bool:
    return isinstance(item, dict) or item[1] == DIRECTORY


def _same_content(there: Row | Node, entry: Row) -> bool:
    """Whether two entries are equal, apart from the executable bit, which the entry that is added last decides."""
    return not isinstance(there, dict) and _is_folder(there) == _is_folder(entry) and there[2:] == entry[2:]


def _files(tree: Digest, read: Callable[[Digest], bytes], prefix: bytes) -> Iterator[tuple[bytes, Row]]:
    return ((path, entry) for path, entry in walk(tree, read, prefix) if entry[1] != DIRECTORY)


def _twice(parts: Parts, there: Row | Node) -> PathTaken:
    what, hint = "a folder", "choose another name, or remove it first"
    if not _is_folder(there):
        what = "a file with other content"
        hint = "choose another name, remove it first, or overwrite it (overwrite=True; of a folder merge=True)"
    return PathTaken(parts, f"Cannot add the same path twice: '{printable(b'/'.join(parts))}' is {what} here", hint)
