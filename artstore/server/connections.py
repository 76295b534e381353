"""Connections to the served remote: as for the pages, with room for a team."""

from artstore.web.connections import Connection


class ServedConnection(Connection):
    """A connection that is closed if it keeps the server waiting, and makes room if there are too many others."""

    most = 512
