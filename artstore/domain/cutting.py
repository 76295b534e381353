"""Where a file is cut into segments, so that versions of it have most segments in common.

Arrays of numbers are cut at the same places of each array, whatever comes before it. All else is cut where its content
says so: behind a change, an insertion or a deletion, the cuts are where they were in the old version.
"""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from artstore.domain.containers import SMALL, UNKNOWN, Read, Span, spans
from artstore.domain.frames import MOST

_STEP = 2 << 20
"""Bytes of an array's segment."""
_LEAST, _MEAN = 512 << 10, 1 << 20
"""Bytes of a segment that is cut by content."""


class Piece(NamedTuple):
    """A segment-to-be."""

    offset: int
    length: int
    widths: tuple[int, ...]
    """bytes that an element may have: what to try when it is encoded"""


def cuts(size: int, read: Read) -> Iterator[Piece]:
    """Cut a file of `size` bytes into pieces, in order and without gaps. None has more than 4 MiB.

    `read` is asked for 4 MiB at most. Arrays are cut every 2 MiB, and what is left under 64 KiB joins what is before
    it. What is before an array joins it if it is under 64 KiB, but the beginning of a file doesn't: a header changes
    when arrays don't. The rest has pieces of 512 KiB to 4 MiB.
    """
    at = 0
    for span in spans(size, read):
        if at == 0 or span.start - at >= SMALL:
            yield from _by_content(at, span.start, read)
            at = span.start
        yield from _every(_STEP, at, span)
        at = span.end
    yield from _by_content(at, size, read)


def _every(step: int, begin: int, span: Span) -> Iterator[Piece]:
    """Cut a span every `step` bytes. The first piece begins at `begin`, before the span."""
    places = [begin, *range(span.start + step, span.end - SMALL + 1, step), span.end]
    for start, end in pairwise(places):
        yield Piece(start, end - start, span.widths)


@cache
def _fast_cdc() -> Any:
    """The class, or None if it isn't installed, or only in Python, which is 200 times as slow."""
    try:
        from pyfastcdc import FastCDC
    except ImportError:
        return None
    return FastCDC if FastCDC.__module__.startswith("pyfastcdc.cy.") else None


def _by_content(start: int, end: int, read: Read) -> Iterator[Piece]:
    """Cut what is between two places by its content. Without pyfastcdc, or if the file ends early, every MiB."""
    fast_cdc = _fast_cdc()
    if end - start > _LEAST and fast_cdc is not None:
        # its mean is the sum of both sizes; without normalizing, cuts come together again soonest
        chunker = fast_cdc(_MEAN - _LEAST, min_size=_LEAST, max_size=MOST, normalized_chunking=0)
        window, held = memoryview(bytearray(min(2 * MOST, end - start))), 0
        while start < end:
            wanted = min(MOST, end - start - held)
            got = read(start + held, wanted)
            if len(got) < wanted:
                break
            window[held : held + wanted] = got
            held += wanted
            found = _settled(chunker, window[:held], start + held == end)
            for length in found:
                yield Piece(start, length, UNKNOWN)
                start += length
            used = sum(found)
            held -= used
            window[:held] = window[used : used + held]
    if start < end:
        yield from _every(_MEAN, start, Span(start, end, UNKNOWN))


def _settled(chunker: Any, data: memoryview, is_all: bool) -> list[int]:
    """The lengths of the chunks at the beginning of data that nothing behind it can change."""
    found = []
    for chunk in chunker.cut_buf(data):
        if len(data) - chunk.offset < MOST and not is_all:
            break
        found.append(chunk.length)
    return found
