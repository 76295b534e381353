"""What `artstore run` reaches: launchers, reloaders, and other Pythons in the same command.

`pytest -m frameworks` runs these. Other versions of Python are those on PATH; a test without one is skipped.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import artstore
from tests.adapters.frameworks.packages import TOP, python_of_frameworks
from tests.support.commands import environment

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(900)]
RUN = [sys.executable, "-m", "artstore", "run"]
SAYS = "import wandb, sys; print(wandb.init.__module__, sys.version_info[1])"
OURS = "artstore.api.session"


def program(name: str) -> str:
    return str(Path(python_of_frameworks()).with_name(name))


def run(folder: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    env = environment(folder, PYTHONPATH=str(TOP), OMP_NUM_THREADS="1", **more)
    return subprocess.run([*RUN, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=800)


def other_pythons() -> dict[int, str]:
    """Other versions of Python 3, by their minor version: those on PATH, and those beside this one, as pyenv has them."""
    beside = [str(path) for path in Path(sys.base_prefix).parent.glob("*/bin/python3")]
    named = [path for minor in range(6, 20) if (path := shutil.which(f"python3.{minor}")) is not None]
    code, found = "import sys; print(sys.version_info[1], sys.executable)", {}
    for python in [*beside, *named]:
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True)
        if asked.returncode == 0:
            minor, path = asked.stdout.split(maxsplit=1)
            found[int(minor)] = path.strip()
    found.pop(sys.version_info.minor, None)
    return found


def test_accelerate_launch_reaches_its_process(here: Path) -> None:
    loop = Path(__file__).parent / "scripts" / "accelerate_loop.py"
    done = run(here, program("accelerate"), "launch", "--cpu", "--num_processes", "1", str(loop))
    assert done.returncode == 0, done.stderr[-3000:]
    (recorded,) = artstore.Api().runs("loops")
    assert (recorded.state, len([row for row in recorded.scan_history() if "loss" in row])) == ("finished", 3)


def test_uv_run_reaches_its_python(here: Path) -> None:
    words = ("run", "--no-project", "--offline", "--python", python_of_frameworks(), "python", "-c", SAYS)
    done = run(here, program("uv"), *words)
    assert (done.returncode, done.stdout.split()[0]) == (0, OURS), done.stderr


def test_uv_run_with_an_environment_of_its_own_says_what_is_lacking(here: Path) -> None:
    words = ("run", "--isolated", "--no-project", "--offline", "--python", sys.executable, "python", "-c", SAYS)
    env = environment(here)
    done = subprocess.run([*RUN, program("uv"), *words], cwd=here, env=env, capture_output=True, text=True)
    assert re.search(
        r"ImportError: wandb is artstore here, but this Python has no artstore: `\S+ -m pip install -U artstore`",
        done.stderr,
    ), done.stderr


def test_the_reloader_of_uvicorn_starts_the_new_process_with_it_too(here: Path) -> None:
    """The reloader starts a process by `spawn` at first, and another one when a file has changed."""
    app = here / "served" / "app.py"
    app.parent.mkdir()
    text = "import os, wandb\nopen('../told', 'a').write(wandb.init.__module__ + '\\n')\nasync def app(*_): pass\n"
    app.write_text(text)
    command = [*RUN, program("uvicorn"), "app:app", "--reload", "--port", "0"]
    server = subprocess.Popen(
        command, cwd=app.parent, env=environment(here, PYTHONPATH=str(TOP)), stderr=subprocess.PIPE, start_new_session=True
    )  # fmt: skip
    try:
        for lines in (1, 2):
            until = time.monotonic() + 60
            while not (here / "told").exists() or len((here / "told").read_text().splitlines()) < lines:
                assert time.monotonic() < until and server.poll() is None
                time.sleep(0.2)
                if lines == 2:
                    app.write_text(f"{text}# changed at {time.monotonic()}\n")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate()
    assert set((here / "told").read_text().split()) == {OURS}


def test_two_versions_of_python_in_one_command_both_find_it(here: Path) -> None:
    others = {minor: python for minor, python in other_pythons().items() if minor >= 11}
    if not others:
        pytest.skip("there is no other Python that artstore runs on")
    minor, python = max(others.items())
    made = here / "other"
    subprocess.run([python, "-m", "venv", str(made)], check=True)
    install = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--editable", str(TOP)]
    subprocess.run(install, check=True)
    both = f'{python_of_frameworks()} -c "{SAYS}" && {made}/bin/python -c "{SAYS}"'
    done = run(here, "sh", "-c", both)
    assert done.stdout.splitlines() == [f"{OURS} {sys.version_info.minor}", f"{OURS} {minor}"], done.stderr


def test_a_python_that_is_too_old_or_has_no_artstore_gets_one_sentence(here: Path) -> None:
    others = other_pythons()
    if not others:
        pytest.skip("there is no other Python")
    for minor, python in others.items():
        env = environment(here)
        done = subprocess.run([*RUN, python, "-c", SAYS], cwd=here, env=env, capture_output=True, text=True)
        lack = f"has no artstore: `{python} -m pip install -U artstore`"
        if minor < 11:
            lack = "is older than 3.11, which artstore needs"
        last = done.stderr.splitlines()[-1]
        assert last == f"ImportError: wandb is artstore here, but this Python {lack}"


def test_what_ignores_pythonpath_is_reached_by_the_call_in_the_script(here: Path) -> None:
    """`python -E` and `-I` find no wandb, in an environment without W&B's; the guide gives the way round."""
    call = f"import artstore; artstore.install_as_wandb(); {SAYS}"
    for option in ("-E", "-I"):
        done = run(here, python_of_frameworks(), option, "-c", SAYS)
        assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'wandb'"
        called = run(here, python_of_frameworks(), option, "-c", call)
        assert (called.returncode, called.stdout.split()[0]) == (0, OURS), called.stderr
