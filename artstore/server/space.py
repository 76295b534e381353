"""Space on the server's disk: some of it stays free, because nobody could read either without space for the audit."""

import shutil

from artstore.errors import NoSpace, translated

_RESERVE = 256 << 20
"""Bytes that stay free."""


def check_space(folder: str, size: int) -> None:
    """Raise NoSpace if a file of this size in a folder would leave too little."""
    with translated("look how much space the server's disk has"):
        free = shutil.disk_usage(folder).free
    if free - size < _RESERVE:
        raise NoSpace("the server's disk is nearly full", hint="who runs this server can make space")
