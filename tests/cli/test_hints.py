"""Hints of errors are true: each is followed."""

from pathlib import Path

import pytest

from artstore.cli.habits import HINTS
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.hints import follow, hints_of, hints_with_commands, stories
from tests.support.transcripts import sample

STORIES = stories()
ELSEWHERE = [
    "adapters/dvc.py: …, then `artstore import dvc COPY --cache …/.dvc/cache`",
    "api/accepted.py: start the script once for each set of parameters; `artstore runs ls` sorts the runs by a metric",
    "api/handles.py: `artstore init` makes one",
    "api/handles.py: `artstore clone` it, change the clone, and push",
    "backends/served/address.py: leave them out; `artstore login …` keeps a token",
    "backends/served/client.py: `artstore login …` keeps one",
    "cli/comparing.py: `artstore verify … …` compares the folder",
    "cli/locking.py: `artstore remote add … …`",
    "cli/remotes.py: `artstore gc …`",
    "cli/running.py: `artstore run sh …` runs a shell script; `chmod +x` makes it a program",
    "cli/running.py: `artstore run --yes …` records them here; unset WANDB_MODE to be asked no more",
    "cli/running.py: `artstore run python …`",
    "server/application.py: `artstore login URL` keeps yours",
    "server/hub.py: `artstore get …` fetches it",
    "server/hub.py: `artstore push` sends versions to it",
    "server/serving.py: `artstore pull …` of everything makes it whole",
    "store/layout.py: `artstore init` makes one; an unmounted share looks like this too",
    "web/files.py: `artstore export` writes one as an archive",
]
"""Hints of imports, the Python interface, served remotes and pages, which are tested there, and parts of answers that are no errors."""


@pytest.mark.parametrize("story", STORIES)
def test_what_a_hint_says_can_be_done_and_leads_out(cli: Cli, tmp_path: Path, story: str) -> None:
    sample(tmp_path)
    follow(cli, tmp_path, STORIES[story])
    if (tmp_path / ".artifacts/format").exists():
        check(tmp_path / ".artifacts")


def test_each_hint_that_names_a_command_is_followed() -> None:
    told = [hint for lines in STORIES.values() for hint in hints_of(lines)]
    unheard = [where for where, pattern in hints_with_commands().items() if not any(map(pattern.fullmatch, told))]
    assert unheard == ELSEWHERE


def test_each_hint_for_a_word_or_option_of_another_tool_is_followed() -> None:
    told = {hint for lines in STORIES.values() for hint in hints_of(lines)}
    unheard = {hint for words, hint in HINTS.items() if "`artstore" in hint and hint not in told}
    assert unheard == {HINTS["runs history"]}, "which test_habits follows"
