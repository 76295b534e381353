"""Wording for users: commands in hints."""

import os
import subprocess

import pytest

from artstore.domain.wording import typed

NAMES = [
    "a b",
    "it's",
    '$HOME "x"',
    "-x",
    "a\x1bf",
    "a\nb",
    "ü!",
    "\udcff",
    "a\x80b",
    "\u200b1",
    "~",
    "",
    "a;b",
    "$'x",
    "`id`",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_command_in_a_hint_has_the_same_words_when_it_is_pasted_into_bash(name: str) -> None:
    command = typed("get", name, from_=name)[1:-1]
    script = f"artstore() {{ printf '%s\\0' \"$@\"; }}; {command}"
    words = subprocess.run(
        ["bash", "-c", script], capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=True
    ).stdout
    dashes = ["--"] if name.startswith("-") else []
    assert words.split(b"\0")[:-1] == [os.fsencode(word) for word in ("get", "--from", name, *dashes, name)]
