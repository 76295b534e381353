"""Frames of others: what unfolds to more memory than it has bytes is refused."""

import struct

import pytest

from artstore.domain import wire
from artstore.domain.wire import frame, frames
from artstore.errors import Damage

MOST = 1_000
MANY = MOST + 1


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd" + struct.pack(">I", MANY) + b"\xc0" * MANY,
        b"\xdd" + struct.pack(">I", 1 << 31),
        b"\xdf" + struct.pack(">I", 1 << 31),
        b"\x91" + (b"\xdd" + struct.pack(">I", 10) + b"\x9f" + b"\x90" * 15) * 3,
        frame(*([[]] * (MOST // 2 + 1))),
        frame(*([[{}, {"a": 1}]] * (MOST // 6))),
        b"\xc6\xff\xff\xff\xff",
    ],
    ids=["many", "claims many", "claims a large map", "cut", "empty lists", "lists of lists", "claims many bytes"],
)
def test_a_frame_of_too_many_values_is_refused(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_MOST_VALUES", MOST)
    with pytest.raises(Damage):
        list(frames([body], "a stranger"))


def test_many_frames_of_few_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_MOST_VALUES", MOST)
    one = frame(1, [2], {"a": None})
    assert sum(1 for _ in frames([one * 100] * 100, "a friend")) == 10_000
