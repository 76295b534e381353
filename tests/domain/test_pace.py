"""The text of a progress line."""

import pytest

from artstore.domain.pace import Pace, clock, summary
from artstore.domain.wording import cut
from artstore.progress import Monitor

MIB = 1 << 20


def lines(
    expected: tuple[int | None, int | None], *done: tuple[float, int, int], step: str = "saving data"
) -> list[str]:
    """The line at some moments: the time, and the items and bytes that were done then."""
    monitor = Monitor()
    monitor.start(step)
    monitor.expect(*expected)
    pace = Pace(monitor, 0.0)
    found = []
    for now, items, size in done:
        monitor.items, monitor.bytes = items, size
        found.append(pace.text(now))
    return found


def test_bytes_are_counted_in_the_unit_of_the_whole_and_columns_stay_where_they_are() -> None:
    assert lines((3, 2048 * MIB), (1.0, 0, 0), (2.0, 1, 5 * MIB), (12.0, 1, 1300 * MIB), (15.0, 3, 2048 * MIB)) == [
        "saving data    0%  0.0/2.0 GiB",
        "saving data    0%  0.0/2.0 GiB  2.5 MiB/s  13:37 left",
        "saving data   63%  1.3/2.0 GiB  129.5 MiB/s  0:06 left",
        "saving data  100%  2.0/2.0 GiB  157.2 MiB/s  0:00 left",
    ]


def test_many_small_files_are_counted_by_their_number() -> None:
    assert lines((50_000, 50 * MIB), (1.0, 9_000, 9 * MIB), (2.0, 20_000, 20 * MIB)) == [
        "saving data   18%   9,000/50,000 files  9,000 files/s  0:05 left",
        "saving data   40%  20,000/50,000 files  10,000 files/s  0:03 left",
    ]
    assert lines((50_000, None), (1.0, 9_000, 90 * MIB))[0].startswith("saving data   18%   9,000/50,000 files")


def test_without_a_known_whole_there_is_no_percentage() -> None:
    assert lines((None, None), (1.0, 0, 0), (2.0, 1_200, 0), (3.0, 1_200, 30 * MIB)) == [
        "saving data",
        "saving data  1,200 files  600 files/s",
        "saving data  1,200 files, 30.0 MiB   10.0 MiB/s",
    ]


def test_more_than_was_expected_and_less_than_nothing_are_within_bounds() -> None:
    assert lines((1, 100 * MIB), (1.0, 1, 130 * MIB), (2.0, 1, -4))[0].startswith("saving data  100%  100.0/100.0 MiB")
    assert lines((1, 100 * MIB), (1.0, 1, -4)) == ["saving data    0%    0.0/100.0 MiB"]


def test_the_speed_is_that_of_the_last_seconds() -> None:
    slow = [(float(second), 1, second * MIB) for second in range(1, 20)]
    fast = [(20.0 + second, 1, (20 + 100 * second) * MIB) for second in range(7)]
    assert lines((1, 10_000 * MIB), *slow, *fast)[-1].endswith("100.0 MiB/s  1:34 left")


def test_a_long_name_leaves_room_for_the_numbers() -> None:
    assert lines((1, 10 * MIB), (1.0, 0, MIB), step="adding " + "x" * 90) == [
        f"adding {'x' * 26}…   10%   1.0/10.0 MiB  1.0 MiB/s  0:09 left"
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (1.6, "0:02"), (754, "12:34"), (5025, "1:23:45")])
def test_a_duration_is_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_summary_says_how_much_and_how_long() -> None:
    monitor = Monitor()
    assert summary(monitor, "saved data", 2.0) == "saved data in 0:02"
    monitor.advance(12)
    assert summary(monitor, "saved data", 2.0) == "saved data: 12 files in 0:02"
    monitor.advance(0, 40 * MIB)
    assert summary(monitor, "saved data", 2.0) == "saved data: 40.0 MiB in 0:02, 20.0 MiB/s"


@pytest.mark.parametrize(("text", "width", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("数据集", 5, "数据…"), ("数据集", 4, "数…"), ("ab", 0, "…")])  # fmt: skip
def test_a_text_is_cut_by_its_width(text: str, width: int, short: str) -> None:
    assert cut(text, width) == short
