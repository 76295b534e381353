"""The audit of a served repository: each request is a line of a chain, and a changed or missing line is noticed."""

import errno
import json
import os
import re
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from artstore.errors import ArtstoreError, InvalidValue, NoSpace, StorageError
from artstore.server.audit import Audit, Head
from tests.support.processes import together
from tests.support.trouble import fill, small_disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".artifacts.server"


@pytest.fixture
def audit(folder: Path) -> Audit:
    return Audit(str(folder))


def note(audit: Audit, operation: str = "download", **more: Any) -> None:
    audit.append(operation, "ok", **{"token": "ci", "address": "192.0.2.1"} | more)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "audit").glob("*.jsonl"))


def test_a_record_says_who_did_what_when_to_what_and_what_came_of_it(audit: Audit) -> None:
    began = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    audit.append(
        "download",
        "ok",
        token="ci",
        address="192.0.2.1",
        project="team/vision",
        subject="model:prod",
        bytes=12,
        sync=True,
    )
    audit.append("login", "refused", token=None, address="::1")
    first, second = audit.records()
    assert first._replace(time="") == (
        "", "ci", "192.0.2.1", "download", "team/vision", "model:prod", "ok", 12,
    )  # fmt: skip
    assert began <= first.time <= second.time and second[1:] == (None, "::1", "login", None, None, "refused", 0)


def test_records_are_chosen_by_token_operation_and_time(audit: Audit) -> None:
    for token, operation in (("ci", "push"), ("ada", "push"), ("ci", "download")):
        note(audit, operation, token=token)
    second = list(audit.records())[1]
    assert [record.operation for record in audit.records(token="ci")] == ["push", "download"]
    assert [record.token for record in audit.records(operation="push")] == ["ci", "ada"]
    assert [record.token for record in audit.records(since=second.time)] == ["ada", "ci"]
    assert [record.token for record in audit.records(since=second.time, token="ci", operation="push")] == []


def test_each_process_has_a_file_of_its_own_and_all_are_read_by_time(folder: Path) -> None:
    together(_note_some, [(str(folder), f"ci-{n}") for n in range(4)])
    assert len(files(folder)) == 4
    audit = Audit(str(folder))
    found = list(audit.records())
    assert [record.time for record in found] == sorted(record.time for record in found) and len(found) == 80
    assert {record.token for record in found[:40]} > {found[0].token} and audit.check() == []
    names = [re.fullmatch(r"\d{8}T\d{6}Z-(\d+)-[0-9a-f]{4}\.jsonl", path.name) for path in files(folder)]
    assert all(names) and len({match[1] for match in names if match}) == 4


def _note_some(folder: str, token: str) -> int:
    audit = Audit(folder)
    for _ in range(20):
        note(audit, token=token, sync=True)
        time.sleep(0.005)
    return os.getpid()


def test_a_forked_child_writes_to_a_file_of_its_own(audit: Audit, folder: Path) -> None:
    note(audit)
    child = os.fork()
    if child == 0:
        note(audit, "child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    note(audit)
    assert len(files(folder)) == 2 and audit.check() == []
    assert sorted(record.operation for record in audit.records()) == ["child", "download", "download"]


def test_threads_write_whole_lines_in_one_chain(audit: Audit, folder: Path) -> None:
    threads = [threading.Thread(target=lambda: [note(audit) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(audit.records())) == 200 and audit.check() == [] and len(files(folder)) == 1


def test_threads_that_wait_until_a_record_is_durable_share_one_sync(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, syncs, first = os.fsync, list[int](), threading.Event()

    def slow(fd: int) -> None:
        syncs.append(fd)
        first.set()
        time.sleep(0.3)
        real(fd)

    note(audit)
    monkeypatch.setattr(os, "fsync", slow)
    threads = [threading.Thread(target=note, args=(audit,), kwargs={"sync": True}) for _ in range(20)]
    threads[0].start()
    assert first.wait(10)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(syncs) == 2 and len(list(audit.records())) == 21 and audit.check() == []


def test_after_a_failed_sync_the_request_is_an_error_and_the_next_record_begins_a_file(
    audit: Audit, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(audit, sync=True)
    real = os.fsync

    def fails(fd: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageError, match="^cannot write to the audit in "):
        note(audit, "lost", sync=True)
    note(audit, sync=True)
    assert len(files(folder)) == 2 and audit.check() == []


def test_only_the_owner_reads_it(audit: Audit, folder: Path) -> None:
    before = os.umask(0)
    try:
        note(audit)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "audit", *files(folder))] == [
        0o700, 0o700, 0o600,
    ]  # fmt: skip
    (folder / "audit").chmod(0o770)
    with pytest.raises(InvalidValue, match="must be yours alone"):
        list(Audit(str(folder)).records())


def test_no_text_makes_a_second_line_or_moves_a_cursor(audit: Audit, folder: Path) -> None:
    hostile = 'ci\n{"time":"x"}\r\x1b[2J\u202e\u2028\udc80"'
    note(audit, hostile, token=hostile, address=hostile, project=hostile, subject=hostile)
    data = files(folder)[0].read_bytes()
    assert data.count(b"\n") == 1 and data.endswith(b"\n") and data.isascii()
    (record,) = audit.records()
    assert all(value is None or not isinstance(value, str) or value.isprintable() for value in record)
    assert audit.check() == []


def test_no_secret_is_written_even_where_a_long_text_is_cut(audit: Audit, folder: Path) -> None:
    secret = "art_0123abcd_" + "s" * 43
    for before in ("/v1/", "x" * 970, "x" * 990 + "/"):
        note(audit, subject=f"{before}{secret}", address=f"https://user:{secret}@host")
    assert b"sss" not in files(folder)[0].read_bytes()


def test_the_longest_texts_are_cut_and_still_read(audit: Audit) -> None:
    note(audit, "\U0001f600" * 5000, token="\x00" * 5000, subject="\U0001f600" * 5000, address="\U0001f600" * 5000)
    (record,) = audit.records()
    assert record.operation == "\U0001f600" * 1000 + "…" and audit.check() == []


# -- what was changed ----------------------------------------------------------------------------


def test_a_line_that_was_changed_removed_added_or_moved_breaks_the_chain(audit: Audit, folder: Path) -> None:
    for number in range(5):
        note(audit, subject=str(number))
    (file,) = files(folder)
    lines = file.read_bytes().splitlines(keepends=True)
    changed = lines[2].replace(b'"subject":"2"', b'"subject":"7"')
    for forged, problem in [
        ([*lines[:2], changed, *lines[3:]], "line 4 of .* does not follow the line before it"),
        ([*lines[:2], *lines[3:]], "line 3 of .* does not follow the line before it"),
        (lines[1:], "line 1 of .* does not follow the line before it"),
        ([lines[1], lines[0], *lines[2:]], "line 1 of .* does not follow the line before it"),
        ([*lines[:3], lines[2], *lines[3:]], "line 4 of .* does not follow the line before it"),
        ([*lines[:3], b"{}\n", *lines[3:]], "line 4 of .* is not a record"),
        ([*lines[:4], lines[4][:-1]], "line 5 of .* is not a record"),
        ([*lines[:4], lines[4][:30]], "line 5 of .* is not a record"),
        ([*lines, b"\n"], "line 6 of .* is not a record"),
        ([b"[" * 100_000 + b"\n", *lines], "line 1 of .* is not a record"),
    ]:
        file.write_bytes(b"".join(forged))
        (found,) = Audit(str(folder)).check()
        assert re.fullmatch(problem, found), found
    file.write_bytes(b"".join(lines))
    assert Audit(str(folder)).check() == []


def test_a_cut_a_rewritten_and_a_removed_file_show_against_a_head_that_was_written_down(
    audit: Audit, folder: Path
) -> None:
    for _ in range(5):
        note(audit)
    head = audit.head()
    assert head is not None and head.records == 5 and Head.parsed(f" {head}\n") == head and audit.heads() == [head]
    note(audit)
    assert Audit(str(folder)).check([head]) == []
    (file,) = files(folder)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4]))
    assert audit.check() == [] and audit.check([head]) == [f"{file.name} has 4 of 5 lines: it was cut"]
    forged = Audit(str(folder.with_name("forged")))
    for _ in range(6):
        note(forged, "other")
    file.write_bytes(files(folder.with_name("forged"))[0].read_bytes())
    assert audit.check() == []
    assert audit.check([head]) == [f"line 5 of {file.name} is not the one that was written down"]
    file.unlink()
    assert audit.check() == [] and audit.check([head]) == [f"{file.name} is gone"]


@pytest.mark.parametrize("text", ["", "a:b", "a:1:b", f"a:-1:{'0' * 64}", f"a:²:{'0' * 64}", f"a::{'0' * 64}"])
def test_what_is_no_head_is_refused(text: str) -> None:
    assert Head.parsed(text) is None


def test_a_damaged_line_hides_no_other(audit: Audit, folder: Path) -> None:
    for number in range(3):
        note(audit, subject=str(number))
    (file,) = files(folder)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b'{"time": 1}\n' + lines[2])
    assert [record.subject for record in audit.records()] == ["0", "2"]


def test_a_link_in_place_of_a_file_is_not_read(audit: Audit, folder: Path, tmp_path: Path) -> None:
    note(audit)
    (folder / "audit/20000101T000000Z-1-0000.jsonl").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("{}\n")
    with pytest.raises(ArtstoreError, match=r"cannot read .*20000101T000000Z-1-0000\.jsonl"):
        list(audit.records())


# -- a disk without space ------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_on_a_full_disk_a_record_is_an_error_and_what_was_written_stays_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        audit = Audit(str(disk / "server"))
        note(audit)
        hog = fill(disk)
        written = 1
        with pytest.raises(NoSpace, match="^cannot write to the audit in "):
            while True:  # to the end of the page that the file has
                note(audit, subject="x" * 700, sync=True)
                written += 1
        assert audit.check() == [] and len(list(audit.records())) == written
        hog.unlink()
        note(audit, "afterwards", sync=True)
        assert audit.check() == [] and len(list(audit.records())) == written + 1
        assert json.loads(files(disk / "server")[0].read_bytes().splitlines()[-1])["operation"] == "afterwards"
