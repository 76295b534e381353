"""W&B's base class of tables and media, by which frameworks tell what they may hand to `log` as it is."""

from abc import ABC

from artstore.api.media.unstored import Unstored
from artstore.api.media.value import Media
from artstore.api.tables.joined import TableGroup
from artstore.api.tables.table import Table


class WBValue(ABC):  # noqa: B024  others are registered below
    """What `log` and `Artifact.add` take as an object: a table, or media."""


for kind in (Media, Table, TableGroup, Unstored):
    WBValue.register(kind)
