"""Restoring a run's file: to its path below a folder, never through a symlink. Its content is checked first."""

import os
import shutil
from typing import BinaryIO

from artstore.backends.confined import Confined, create_file
from artstore.backends.files import closing_fd
from artstore.domain.names import is_protected, normal_path, parse_path, printable
from artstore.errors import translated
from artstore.operations.restoring.writing import refuse_protected


def restore_run_file(source: BinaryIO, root: str, path: str, forbidden: str | None) -> str:
    """Write a run's file below `root`, which is made if it is missing. A file at its path is replaced.

    Args:
        source: The file, opened for reading. It is closed.
        forbidden: A folder into which nothing may be written: the repository.

    Returns:
        The path of the new file.

    Raises:
        InvalidValue: If a name in the path is protected: a run that was pulled may have such a file.
    """
    parts = parse_path(normal_path(path))
    with source, translated(f"write to {printable(root)}"):
        if any(map(is_protected, parts)):
            refuse_protected(b"/".join(parts))
        os.makedirs(root, exist_ok=True)
        with Confined(root, forbidden) as target, closing_fd(target.open_folder(parts[:-1])) as folder:
            temporary = f".artstore-{os.urandom(8).hex()}".encode()
            try:
                with open(create_file(folder, temporary, executable=False), "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
                os.replace(temporary, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                try:
                    os.unlink(temporary, dir_fd=folder)
                except FileNotFoundError:
                    pass
                raise
    return os.path.join(root, os.fsdecode(b"/".join(parts)))
