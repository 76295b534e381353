"""The repository that `serve`, `token` and `audit` are about: that of the working folder, or one at another place."""

from typing import NamedTuple

import click

from artstore.backends.storage import Storage
from artstore.cli.output import open_view
from artstore.server.folder import check_servable
from artstore.store.settings import Settings, find_root

served_option = click.option("--from", "place", metavar="PLACE", help="Use the repository at this remote, path or URL.")


class ServedPlace(NamedTuple):
    """A repository that is served, or may be."""

    place: str
    """its path or URL"""
    storage: Storage
    settings: Settings
    """of the working folder's repository: names of projects are read by these"""


def served_place(place: str | None) -> ServedPlace:
    """The repository at a remote, path or URL; with None, that of the working folder.

    Raises InvalidValue, without contacting it, if another host serves it.
    """
    url = place
    if place is not None:
        remotes = Settings(find_root()).remotes()
        check_servable(url := remotes[place].url if place in remotes else place)
    with open_view(place) as view:
        return ServedPlace(url or view.storage.root, view.storage, view.settings)
