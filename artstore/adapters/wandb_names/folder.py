"""The folder that makes `import wandb` find artstore: a small package of that name, and metadata for whoever reads it.

It is made in the user's cache when it is asked for. A wheel can't hold it: tools that list what is installed would
report W&B's package. Its name is the digest of its files, so an artstore of another version has another folder.
"""

import os

from artstore.adapters.wandb_names.table import LOCAL, VERSION
from artstore.backends.files import is_own, others_write, replace_file
from artstore.backends.homes import cache_folder
from artstore.backends.owner import this_process
from artstore.domain.digest import plain_digest
from artstore.domain.names import printable
from artstore.errors import InvalidValue, Refused, translated

_PACKAGE = '''\
"""artstore under the name wandb, not W&B's package. `artstore run` or `artstore.install_as_wandb()` put it here."""

import sys

lack = None
if sys.version_info < (3, 11):
    lack = "is older than 3.11, which artstore needs"
else:
    try:
        from artstore.adapters.wandb_names.modules import stand_in
    except ImportError as error:
        if not str(error.name).startswith("artstore"):
            raise  # a package that artstore needs is not there
        lack = "has no artstore"
        if "artstore" in sys.modules:
            lack = "has artstore " + sys.modules["artstore"].__version__ + ", which is older than this name for it"
        lack += ": `" + sys.executable + " -m pip install -U artstore`"
if lack is not None:
    raise ImportError("wandb is artstore here, but this Python " + lack)
stand_in(__name__, globals())
'''
_MAIN = """\
import sys

from wandb.cli.cli import cli

sys.exit(cli())
"""
_METADATA = f"""\
Metadata-Version: 2.1
Name: wandb
Version: {VERSION}+{LOCAL}
Summary: artstore under the name wandb, not W&B's package
"""
_INFO = f"wandb-{VERSION}+{LOCAL}.dist-info"
FILES = {
    "wandb/__init__.py": _PACKAGE,
    "wandb/__main__.py": _MAIN,
    f"{_INFO}/METADATA": _METADATA,
    f"{_INFO}/INSTALLER": f"{LOCAL}\n",
    f"{_INFO}/top_level.txt": "wandb\n",
}


def folder_of_names() -> str:
    """The folder, with all its files. Files that differ or are absent are written.

    Raises Refused if others may write to it, because Python runs what is in it. Raises StorageError if the cache can't
    be written.
    """
    digest = plain_digest("".join(f"{name}\n{text}" for name, text in FILES.items()).encode())
    home = os.path.join(cache_folder(), "wandb")
    folder = os.path.join(home, digest.hex()[:16])
    if os.pathsep in folder:
        raise InvalidValue(
            f"{printable(folder)} can't be on PYTHONPATH: its path has a '{os.pathsep}'",
            hint="set XDG_CACHE_HOME to another folder",
        )
    with translated(f"write {printable(folder)}"):
        for made in (home, folder, *(os.path.join(folder, part) for part in ("wandb", _INFO))):
            os.makedirs(made, mode=0o700, exist_ok=True)
            if not is_own(os.stat(made)):
                raise _refused(made)
        if others_write(cache_folder()):  # they could put another folder in place of ours
            raise _refused(cache_folder())
        for name, text in FILES.items():
            path = os.path.join(folder, name)
            if not _has(path, text):
                replace_file(path, text.encode(), f"{path}.{this_process()}", sync=False)
    return folder


def _refused(folder: str) -> Refused:
    return Refused(
        f"others may write to {printable(folder)}, from which Python would run code",
        hint="remove it, or set XDG_CACHE_HOME to a folder of your own",
    )


def _has(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read() == text
    except FileNotFoundError:
        return False
