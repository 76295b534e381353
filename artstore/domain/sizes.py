"""Sizes, counts and times as text for people."""

import time


def human(size: int) -> str:
    """A number of bytes in units of powers of 1,024, such as `6.2 MiB`."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, 5)
    return f"{size / 1024**power:.1f} {'KMGTP'[power - 1]}iB"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def moment(nanoseconds: int) -> str:
    """A time, given in nanoseconds since 1970, as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 1_000_000_000))
