"""The screen: what a terminal would show of output with progress bars, colours and moves of the cursor."""

import pytest

from artstore.domain.screen import Screen


def shown(*texts: str) -> list[str]:
    screen = Screen()
    settled = [line for text in texts for line in screen.feed(text)]
    return [*settled, *screen.lines]


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (("a\nb\n",), ["a", "b", ""]),
        (("a", "b\n", "c"), ["ab", "c"]),
        (("0%\r50%\r100%\n",), ["100%", ""]),
        (("long line\rshort",), ["shortline"]),
        (("long line\r\x1b[Kshort",), ["short"]),
        (("abc\b\bX",), ["aXc"]),
        (("\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain",), ["red and plain"]),
        (("a\x1b", "[3", "1mb"), ["ab"]),
        (("bar one 0%\nbar two 0%", "\x1b[A\rbar one 9%\n", "\rbar two 9%"), ["bar one 0%", "bar one 9%", "bar two 9%"]),
        (("x\x1b[A", "one\ntwo\x1b[1A\rONE\n\rTWO"), ["ONEe", "TWO"]),
        (("ab\x1b[5Gc",), ["ab  c"]),
        (("a\n\x1b[99999999999Ab",), ["b", ""]),
        (("é\r\n漢字\n",), ["é", "漢字", ""]),
    ],
)  # fmt: skip
def test_lines_are_as_a_terminal_shows_them(texts: tuple[str, ...], lines: list[str]) -> None:
    assert shown(*texts) == lines


def test_a_bar_of_a_million_steps_is_one_line_and_output_without_line_ends_is_broken_into_lines() -> None:
    screen = Screen()
    assert [line for step in range(100_000) for line in screen.feed(f"\r{step}/100000 {'#' * (step // 2000)}")] == []
    assert screen.lines == ["99999/100000 " + "#" * 49]
    whole = "x" * 100_000
    lines = shown(whole)
    assert "".join(lines) == whole and max(map(len, lines)) <= 16 << 10
    assert "".join(shown(*whole)) == whole


def test_few_lines_wait_for_being_rewritten() -> None:
    screen = Screen()
    screen.feed("a\x1b[A")
    screen.feed("line\n" * 10_000)
    assert len(screen.lines) <= 64
