"""What SECURITY.md promises: no code from data, nothing outside, no unbounded memory, no secrets kept, no trust in others."""

import os
import subprocess
from pathlib import Path

import pytest

from artstore.recording import _git
from tests.conftest import make_tree

# -- code ----------------------------------------------------------------------------------------

FILTER = '[filter "x"]\n\tclean = {run}; cat\n'
HOSTILE = {
    "a filter": FILTER,
    "a filter that is a process": '[filter "x"]\n\tprocess = {run}\n\trequired\n',
    "a filter that an included file names": "[include]\n\tpath = {top}/included\n",
    "a filter whose name no option can hold": '[filter "x=y"]\n\tclean = {run}; cat\n',
    "a monitor of the file system": "[core]\n\tfsmonitor = {run}; false\n",
    "hooks elsewhere": "[core]\n\thooksPath = {top}/hooks\n",
    "a remote that holds what is missing": (
        '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'
        '\turl = "ext::sh -c {run}"\n[protocol "ext"]\n\tallow = always\n'
    ),
    "a remote over ssh": (
        '[core]\n\trepositoryformatversion = 1\n\tsshCommand = {run}\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n'
        "\tpromisor = true\n\turl = ssh://host/path\n"
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_recording_the_commit_runs_nothing_that_a_git_config_names(here: Path, how: str) -> None:
    """`git status` would: by filters, monitors, hooks, and a fetch of objects that are missing."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null")
        subprocess.run(["git", *identity, *arguments], cwd=here, check=True, capture_output=True)

    ran = here / "ran"
    script = make_tree(here / "bin", {"run*": f"#!/bin/sh\ntouch {ran}\n"}) / "run"
    make_tree(here, {"code.py": "1", ".gitattributes": f"*.py filter={'x=y' if 'option' in how else 'x'}\n"})
    git("init", "-q")
    git("add", "code.py", ".gitattributes")
    git("commit", "-qm", "one")
    config = HOSTILE[how].format(run=script, top=here)
    make_tree(here, {"included": FILTER.format(run=script), "hooks/post-index-change*": f"#!/bin/sh\n{script}\n"})
    (here / ".git/config").write_text((here / ".git/config").read_text() + config)
    if "remote" in how:
        tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=here, capture_output=True, text=True, check=True)
        (here / f".git/objects/{tree.stdout[:2]}/{tree.stdout.strip()[2:]}").unlink()
    (here / "code.py").write_text("2")  # as long as before: a look at its content is needed
    found = _git()
    assert not ran.exists()
    if how in ("a filter", "a monitor of the file system", "hooks elsewhere"):
        assert found is not None and found["dirty"] and len(found["commit"]) == 40
    status = subprocess.run(["git", "status"], cwd=here, capture_output=True, env=os.environ | {"GIT_PROTOCOL_FROM_USER": "1"})
    assert ran.exists() or "hooks" in how, f"the attack is none: {status}"
