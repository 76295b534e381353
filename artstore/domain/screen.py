"""A screen: what a terminal would show of a program's output. Progress bars that rewrite a line leave one line. Pure."""

import re
from typing import Final

_LONGEST: Final = 16 << 10
"""Characters after which a line is broken, so that output without line ends doesn't take quadratic time."""
_MOST: Final = 64
"""Lines that a program may still rewrite, once it has moved the cursor up."""
_TOKEN = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # a control sequence: parameters and a letter
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a title or a link
    r"|\x1b[ -/]*[0-Z\\^-~]"
    r"|([\r\n\b])"
    r"|([^\x1b\r\n\b]+)"
    r"|\x1b"
)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}|\][^\x07\x1b]{0,200}\x1b?|[ -/]{0,4})?\Z")
"""A sequence at the end of a text whose rest comes with the next text."""


class Screen:
    """The last lines of a program's output, which it may still rewrite. Colours and other attributes are left out."""

    def __init__(self) -> None:
        self._lines = [""]
        self._row = self._column = 0
        self._moves_up = False
        self._begun = ""

    @property
    def lines(self) -> list[str]:
        """The lines that may still be rewritten; the last one isn't ended, and may be empty."""
        return self._lines

    @property
    def is_in_line(self) -> bool:
        """Whether the cursor is behind text."""
        return self._column > 0

    def feed(self, text: str) -> list[str]:
        """Show more output. Returns the lines that nothing can rewrite any more."""
        text, self._begun = self._begun + text, ""
        if (begun := _BEGUN.search(text, max(0, len(text) - 256))) is not None:
            text, self._begun = text[: begun.start()], begun[0]
        for found in _TOKEN.finditer(text):
            parameters, letter, control, plain = found.groups()
            if plain is not None:
                self._put(plain)
            elif control == "\n":
                self._to_row(self._row + 1)
                self._column = 0
            elif control == "\r":
                self._column = 0
            elif control == "\b":
                self._column = max(0, self._column - 1)
            elif letter is not None:
                self._obey(letter, parameters)
        return self._settled()

    def _put(self, text: str) -> None:
        line, column = self._lines[self._row], self._column
        if column + len(text) > _LONGEST:
            while len(text) > _LONGEST:
                self._lines[self._row : self._row + 1] = [line[:column] + text[:_LONGEST], ""]
                self._row, line, column, text = self._row + 1, "", 0, text[_LONGEST:]
            if column + len(text) > _LONGEST:
                self._to_row(self._row + 1)
                line, column = self._lines[self._row], 0
        self._lines[self._row] = line[:column].ljust(column) + text + line[column + len(text) :]
        self._column = column + len(text)

    def _to_row(self, row: int) -> None:
        self._row = max(0, row)
        while len(self._lines) <= self._row:
            self._lines.append("")

    def _obey(self, letter: str, parameters: str) -> None:
        first = parameters.partition(";")[0]
        number = min(int(first), _LONGEST) if first.isdecimal() else 0
        line = self._lines[self._row]
        if letter in "AF":
            self._moves_up = True
            self._row = max(0, self._row - max(1, number))
        elif letter in "BE":
            self._to_row(min(self._row + max(1, number), self._row + _MOST))
        elif letter == "C":
            self._column = min(self._column + max(1, number), _LONGEST)
        elif letter == "D":
            self._column = max(0, self._column - max(1, number))
        elif letter == "G":
            self._column = max(0, number - 1)
        elif letter == "K":
            erased = {0: line[: self._column], 1: " " * self._column + line[self._column :], 2: ""}
            self._lines[self._row] = erased.get(number, line)
        elif letter == "J" and number == 0:
            self._lines[self._row :] = [line[: self._column]]
        if letter in "EF":
            self._column = 0

    def _settled(self) -> list[str]:
        """Take away the lines at the top that nothing can rewrite: all above the cursor until it first moves up."""
        count = min(self._row, len(self._lines) - _MOST) if self._moves_up else self._row
        if count <= 0:
            return []
        settled, self._lines = self._lines[:count], self._lines[count:]
        self._row -= count
        return settled
