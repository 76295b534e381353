"""What a traceback says to do about an error can be done in Python, or is marked as a command of a shell."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.errors import ArtstoreError, for_python
from tests.support.artifacts import draft, log


def api() -> artstore.Api:
    return artstore.Api()


CALLS: dict[str, Callable[[], Any]] = {
    "`artstore.Api().artifact_collections()` lists all artifacts": lambda: api().artifact("nothing-like-it"),
    "`artstore.Api().artifacts(name='local/uncategorized/data')` lists its aliases": lambda: api().artifact("data:no"),
    "`artstore.Api().artifact('data:v0').files()` lists its files": lambda: api().artifact("data").get_entry("nothing"),
    "that is a project: `artstore.Api().artifact_collections('p')` lists it": lambda: api().artifact("p"),
}
"""Hints of common errors, as a traceback shows them, and what raises the error."""


@pytest.fixture
def filled(here: Path) -> Path:
    log(draft("data", "1"))
    log(draft("net", "2"), project="p")
    return here


@pytest.mark.parametrize("hint", CALLS)
def test_a_traceback_names_a_call_that_leads_out(filled: Path, hint: str) -> None:
    with pytest.raises(ArtstoreError) as raised:
        CALLS[hint]()
    assert raised.value.__notes__ == [f"hint: {hint}"]
    assert (raised.value.hint or "").startswith(hint.split("`")[0] + "`artstore "), "the command line has the command"
    (call,) = re.findall("`([^`]+)`", hint)
    assert eval(call, {"artstore": artstore}) is not None


def test_a_command_without_a_call_is_marked_as_one_of_a_shell(filled: Path) -> None:
    api().artifact("data").delete(delete_aliases=True)
    with pytest.raises(ArtstoreError) as raised:
        api().artifact("data")
    assert raised.value.__notes__ == [
        "hint: in a shell, `artstore log --deleted local/uncategorized/data` lists deleted ones"
    ]


def test_a_name_that_a_shell_has_to_quote_is_left_to_the_shell() -> None:
    hint = "`artstore ls 'a b:v0'` lists its files"
    assert for_python(hint) == f"in a shell, {hint}"
    assert for_python("`artstore ls -r` with the same version") == "`artifact.files()` with the same version"
    assert for_python("use another name") == "use another name"


def test_each_call_that_stands_for_a_command_is_one_of_artstore(filled: Path) -> None:
    calls = {
        "ls --project p": "artstore.Api().artifact_collections('p')", "get": "artifact.download()",
        "ls data:v0": "artstore.Api().artifact('data:v0').files()", "runs ls": "artstore.Api().runs()",
        "cat data f": "artstore.Api().artifact('data').get_entry('f').download()",
        "keep data last:3": "artstore.Api().artifact_collection(name='data').keep = 'last:3'",
        "edit --collection --type t data": "artstore.Api().artifact_collection(name='data').change_type('t')",
        "rm p/net:v0": "artstore.Api().artifact('p/net:v0').delete(delete_aliases=True)",
        "rm --collection data": "artstore.Api().artifact_collection(name='data').delete()",
    }  # fmt: skip
    for command, call in calls.items():
        assert for_python(f"`artstore {command}`") == f"`{call}`"
        names = {"artstore": artstore, "artifact": api().artifact("data") if "rm" not in command else None}
        exec(call, names)
