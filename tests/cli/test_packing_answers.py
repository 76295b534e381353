"""What `artstore pack` answers."""

import json
import re
from pathlib import Path

from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree

TEXT = b"".join(b"%d a line of a log\n" % number for number in range(100_000))


def test_a_few_bytes_are_not_worth_packing(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"a": "a"})), "data")
    assert cli("pack").out == cli("pack", "-n").out == "no file would get smaller\n"


def test_what_was_packed_is_told_in_bytes(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"log": TEXT})), "data")
    assert re.fullmatch(r"would pack 1 large file: 2\.1 MiB would take about \d+\.\d KiB\n", cli("pack", "-n").out)
    assert re.fullmatch(r"packed 1 large file: 2\.1 MiB take \d+\.\d KiB now\n", cli("pack").out)
    done = json.loads(cli("pack", "--json").out)
    assert done["blobs"] == done["trashed_bytes"] == 0 and done["dry_run"] is False


def test_small_files_are_told_apart_from_large_ones(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    small = {f"{number}.txt": TEXT[number : number + 4000] for number in range(100)}
    repo.put(str(make_tree(tmp_path / "in", {"log": TEXT, **small})), "data")
    foreseen, done = cli("pack", "-n").out.splitlines(), cli("pack").out.splitlines()
    assert foreseen[0].startswith("would pack 1 large file: 2.1 MiB would take about ")
    assert re.fullmatch(r"would pack 100 small files: 4\d\d\.\d KiB would take about \d+\.\d KiB", foreseen[1])
    assert re.fullmatch(r"packed 100 small files: 4\d\d\.\d KiB take \d+\.\d KiB now", done[1])


def test_files_that_have_to_wait_are_told_with_what_they_wait_for(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"log": TEXT})), "data")
    with repo.draft() as draft:
        draft.add_bytes(b"more", "more")
        first, trash, reason = cli("pack").out.splitlines()
    assert first.startswith("packed 1 large file")
    assert trash == "2.1 MiB of what was packed waits in the trash; `artstore gc` frees it later"
    assert re.fullmatch(r"it waits because of open work: process \d+ on this host", reason)


def test_du_and_show_tell_what_packed_files_take(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    for number in range(2):
        repo.put(str(make_tree(tmp_path / f"in{number}", {"log": TEXT, "n": str(number)})), "data")
    assert "packed" not in cli("du").out
    cli("pack")
    said = cli("du").out.splitlines()[-1]
    assert re.fullmatch(r"packed: 2\.1 MiB of files stored in \d+\.\d KiB, 2\.\d MiB saved", said), said
    shown = next(line for line in cli("show", "data:v0", "--disk").out.splitlines() if line.startswith("on disk"))
    assert re.fullmatch(r"on disk      (\d+\.\d KiB): \d+\.\d KiB shared, \d+ B its own", shown), shown
    told = json.loads(cli("show", "data:v0", "--disk", "--json").out)
    assert told["disk_bytes"] == told["shared_bytes"] + told["own_bytes"] < told["size"] / 10
