"""Connections to the served remote: as for the pages, with room for a team, and with large bodies."""

from typing import Any

import h11

from artstore.web.connections import Connection

_WAITING = 64 << 10
"""Bytes of a body that may wait for the request before no more are read, as in uvicorn."""


class ServedConnection(Connection):
    """A connection that is closed if it keeps the server waiting, and makes room if there are too many others."""

    most = 512

    def data_received(self, data: bytes) -> None:
        """Read bytes. Those in the middle of a body go to the request at once.

        h11 copies each byte of a body six times, which was a quarter of a server's work for a push of small files.
        """
        body: Any = self.conn._reader
        if self._is_in_body() and len(data) < getattr(body, "_remaining", 0):  # a body in chunks has no such length
            body._remaining -= len(data)
            self.cycle.body += data
            if len(self.cycle.body) > _WAITING:
                self.flow.pause_reading()
            self.cycle.message_event.set()
        else:
            super().data_received(data)

    def _is_in_body(self) -> bool:
        """Whether the next bytes belong to the body of a request that waits for them."""
        return self.is_answering and self.conn.their_state is h11.SEND_BODY and not self.conn.trailing_data[0]
