"""Folders for tests: made from a dictionary, and looked at."""

from pathlib import Path


def make_tree(folder: Path, files: dict[str, str | bytes | None]) -> Path:
    """Files by path; None makes an empty folder, a name that ends in `*` an executable file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.removesuffix("*")
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755 if name.endswith("*") else 0o644)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[bool, bytes] | None]:
    """Every path below a folder: (executable, content) of files, None of folders."""
    found: dict[str, tuple[bool, bytes] | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = None if path.is_dir() else (bool(path.stat().st_mode & 0o100), path.read_bytes())
    return found


def touched(path: Path) -> tuple[int, int, int]:
    """Inode, mtime and ctime, in ns: what changes with each write of a file or its status, and not when it is read."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns
