"""Logs: entries numbered without gaps, chained, made by exclusive creation; and checkpoints, which are only hints."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.storage import FolderStorage
from artstore.domain.changes import Change, LogEntry, new_change, origin_of, portions
from artstore.domain.codec import decode_json, encode_json, encode_rows
from artstore.domain.digest import plain_digest
from artstore.errors import Damage, DamagedLog, InvalidValue, StorageError
from artstore.store import logs
from artstore.store.logs import (
    EntryCache,
    Log,
    check_of,
    decode_checkpoint,
    decode_entry,
    encode_checkpoint,
    last_number,
)
from tests.support.forge import sealed

FOLDER = "refs/local/p/data"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    (tmp_path / "tmp").mkdir()
    return FolderStorage(str(tmp_path))


@pytest.fixture
def log(storage: FolderStorage) -> Log:
    return Log(storage, FOLDER)


def tag(text: str) -> Change:
    return new_change("tags", id=None, add=[text], remove=[])


def append(log: Log, *tags: str) -> list[LogEntry]:
    """One entry for each of these tags."""
    entries = [*log.entries(log.listing())]
    for text in tags:
        head = entries[-1] if entries else None
        entry = log.append(len(entries), head.digest if head else None, [tag(text)], host="h", user="u")
        assert entry is not None
        entries.append(entry)
    return entries[-len(tags) :]


def path(log: Log, number: int) -> Path:
    return Path(log.storage.root, FOLDER, f"{number:08}.json")


def rewrite(log: Log, number: int, **fields: Any) -> None:
    """Replace what an entry says, with a right check."""
    value = decode_json(path(log, number).read_bytes(), "it") | fields
    path(log, number).chmod(0o644)
    path(log, number).write_bytes(encode_json(sealed(value)))


def tags_of(entries: Iterator[LogEntry]) -> list[str]:
    return [change["add"][0] for entry in entries for change in entry.changes]


def test_an_entry_that_nobody_could_read_is_not_written(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_JSON", 1000)
    with pytest.raises(InvalidValue, match=r"would have \d{4} bytes; nobody reads more than 1000"):
        log.append(0, None, [new_change("x", long="x" * 900)], host=None, user=None)
    assert log.listing() == []


def test_changes_of_another_log_are_cut_into_portions_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.domain.changes._PORTION", 300)
    changes = [new_change("x", long="x" * length) for length in (10, 10, 10, 500, 10)]
    cut = list(portions(changes))
    assert [change for some in cut for change in some] == changes
    assert [len(some) for some in cut] == [3, 1, 1]


def test_a_large_checkpoint_is_neither_believed_nor_left_where_others_write(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = append(log, "a")
    most = len(encode_checkpoint(entry.number, entry.digest, "x" * 99))
    monkeypatch.setattr(logs, "_FOREIGN", most)
    log.save_checkpoint(entry.number, entry.digest, "x" * 100, foreign=True)
    assert log.listing() == ["00000001.json"]
    with pytest.raises(Damage, match=f"^it is {most + 1} bytes long; at most {most} are read$"):
        decode_checkpoint(encode_checkpoint(entry.number, entry.digest, "x" * 100), "it", foreign=True)
    log.save_checkpoint(entry.number, entry.digest, "x" * 100)
    assert log.checkpoint(log.listing(), foreign=True) is None
    assert log.checkpoint(log.listing()) == (1, entry.digest, "x" * 100)
    log.save_checkpoint(entry.number, entry.digest, "x" * 99, foreign=True)
    assert log.checkpoint(log.listing(), foreign=True) == (1, entry.digest, "x" * 99)


# -- appending and reading -----------------------------------------------------------------------


def test_a_log_reads_as_it_was_written(log: Log) -> None:
    assert [*log.entries(log.listing())] == []
    written = append(log, "a", "b", "c")
    assert [entry.number for entry in written] == [1, 2, 3]
    assert [*log.entries(log.listing())] == written
    assert [*Log(log.storage, FOLDER).entries(log.listing())] == written
    assert log.read(2) == written[1]


def test_an_entry_is_one_line_of_json_in_a_file_of_its_number(log: Log) -> None:
    began = time.time()
    (entry,) = append(log, "a")
    data = path(log, 1).read_bytes()
    assert log.listing() == ["00000001.json"]
    value = decode_json(data, "it")
    assert value.keys() == {"changes", "check", "host", "number", "prev", "time", "user", "write"}
    assert (value["number"], value["prev"], value["host"], value["user"]) == (1, None, "h", "u")
    assert value["changes"] == entry.changes and value["changes"][0]["add"] == ["a"]
    assert value["check"] == check_of({key: value[key] for key in value.keys() - {"check"}})
    assert value["check"] == plain_digest(data.replace(b'"check":"%s",' % value["check"].encode(), b"")).hex()
    assert re.fullmatch(r"[0-9a-f]{32}", value["write"]) and re.fullmatch(
        r"[0-9a-f]{32}", value["changes"][0]["change"]
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value["time"])
    assert time.strftime("%Y-%m-%dT%H:%M", time.gmtime(began)) <= value["time"]
    assert value["time"] <= time.strftime("%Y-%m-%dT%H:%M:%S.999999Z", time.gmtime())
    assert entry == LogEntry(
        1, plain_digest(data).hex(), None, value["time"], "h", "u", value["write"], value["changes"]
    )


def test_times_have_microseconds(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_001_234_999)
    assert append(log, "a")[0].time == "2023-11-14T22:13:20.001234Z"


def test_each_entry_names_the_one_before_it_by_the_digest_of_its_bytes(log: Log) -> None:
    append(log, "a", "b")
    assert log.read(1).prev is None
    assert log.read(2).prev == plain_digest(path(log, 1).read_bytes()).hex()


def test_two_writes_and_two_changes_never_have_the_same_identity(log: Log) -> None:
    one, other = append(log, "a", "a")
    assert one.write != other.write
    assert one.changes[0]["change"] != other.changes[0]["change"]


def test_who_comes_second_gets_none_and_changes_nothing(log: Log) -> None:
    (first,) = append(log, "a")
    assert log.append(0, None, [tag("late")], host=None, user=None) is None
    assert [*log.entries(log.listing())] == [first]


class LostReply(FolderStorage):
    """A place whose answers to creations are lost."""

    def create(self, path: str, data: bytes) -> bool:
        super().create(path, data)
        return False


def test_a_refused_entry_that_is_ours_was_made_and_only_the_reply_was_lost(storage: FolderStorage) -> None:
    log = Log(LostReply(storage.root), FOLDER)
    made = log.append(0, None, [tag("a")], host="h", user=None)
    assert made is not None and made == Log(storage, FOLDER).read(1)


def test_reading_goes_on_behind_a_number(log: Log) -> None:
    entries = append(log, "a", "b", "c")
    assert tags_of(log.entries(log.listing(), 1, entries[0].digest)) == ["b", "c"]
    assert tags_of(log.entries(log.listing(), 3, entries[2].digest)) == []
    assert tags_of(log.later(1, entries[0].digest)) == ["b", "c"]
    assert tags_of(log.later(0, None)) == ["a", "b", "c"]
    assert tags_of(log.later(3, entries[2].digest)) == []


def test_a_stale_listing_is_no_reason_to_stop(log: Log) -> None:
    """A network file system's client may believe an old one: what follows is asked for by name."""
    append(log, "a")
    stale = log.listing()
    append(log, "b", "c")
    assert tags_of(log.entries(stale)) == ["a", "b", "c"]


def test_an_empty_listing_is_an_empty_log_and_costs_no_question(log: Log) -> None:
    append(log, "a")
    assert tags_of(log.entries([])) == []


def test_entries_that_were_kept_are_not_read_again(storage: FolderStorage) -> None:
    append(Log(storage, FOLDER), "a", "b")
    kept = EntryCache()
    log = Log(storage, FOLDER, kept)
    assert tags_of(log.entries(log.listing())) == ["a", "b"]
    path(log, 1).unlink()
    assert log.read(1).changes[0]["add"] == ["a"]
    assert Log(storage, FOLDER, kept).read(2).changes[0]["add"] == ["b"]


def test_no_more_entries_are_kept_than_their_files_bytes_allow(storage: FolderStorage) -> None:
    append(Log(storage, FOLDER), "a", "b")
    log = Log(storage, FOLDER, EntryCache(room=path(Log(storage, FOLDER), 1).stat().st_size))
    assert tags_of(log.entries(log.listing())) == ["a", "b"]
    for number in (1, 2):
        path(log, number).unlink()
    assert log.read(1).changes[0]["add"] == ["a"]
    with pytest.raises(DamagedLog, match="entry 2 of .* is missing"):
        log.read(2)


@pytest.mark.parametrize(
    ("listing", "number"),
    [
        ([], 0),
        (["00000001.json"], 1),
        (["00000009.json", "00000010.json", "00000002.json"], 10),
        (["00000064.checkpoint", "00000003.json"], 3),
        (["x.json", "000000004.json", "0000005.json", "00000006.jsom", "00000007.json~", "zzzzzzzz.json"], 0),
        (["0000000٩.json", "00000-12.json", "1e000000.json", "0000000x.json", "00000009x.json", "00000003.json"], 3),
    ],
)
def test_the_last_number_is_that_of_the_last_name_that_we_would_have_written(listing: list[str], number: int) -> None:
    assert last_number(listing) == number


# -- damage --------------------------------------------------------------------------------------


def test_a_gap_is_damage_and_what_stands_before_it_is_read(log: Log) -> None:
    append(log, "a", "b", "c")
    path(log, 2).unlink()
    found = log.entries(log.listing())
    assert next(found).number == 1
    with pytest.raises(DamagedLog, match=f"^entry 2 of {FOLDER} is missing") as error:
        next(found)
    assert error.value.hint is not None and "restore its folder from a copy" in error.value.hint


def test_an_entry_that_is_gone_since_it_was_listed_is_damage(log: Log) -> None:
    append(log, "a", "b")
    listing = log.listing()
    path(log, 2).unlink()
    with pytest.raises(DamagedLog, match="entry 2 .* is missing"):
        [*log.entries(listing)]


def test_an_entry_that_is_damaged_where_it_lies_is_told_by_its_number(log: Log) -> None:
    append(log, "a")
    path(log, 1).chmod(0o644)
    path(log, 1).write_bytes(b"{}\n")
    with pytest.raises(DamagedLog, match=f"^entry 1 of {FOLDER} is malformed"):
        log.read(1)


def test_an_entry_that_does_not_follow_is_damage(log: Log) -> None:
    first = append(log, "a", "b", "c")[0]
    rewrite(log, 2, prev="0" * 64)
    for read in (log.entries(log.listing()), log.later(0, None)):
        assert next(read).number == 1
        with pytest.raises(DamagedLog, match=f"^entry 2 of {FOLDER} does not follow the entry before it") as error:
            next(read)
        assert error.value.hint
    for read in (log.entries(log.listing(), 2, first.digest), log.later(2, first.digest)):
        with pytest.raises(DamagedLog, match="^entry 3 of .* does not follow"):
            next(read)


def test_a_first_entry_with_an_entry_before_it_is_damage(log: Log) -> None:
    append(log, "a")
    rewrite(log, 1, prev="0" * 64)
    with pytest.raises(DamagedLog, match="entry 1 .* does not follow"):
        next(log.entries(log.listing()))


def test_no_byte_of_an_entry_changes_unnoticed(log: Log) -> None:
    append(log, "a")
    data = path(log, 1).read_bytes()
    for place in range(len(data)):
        with pytest.raises(DamagedLog) as error:
            decode_entry(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], 1, "entry 1")
        assert str(error.value).startswith("entry 1 is ") and error.value.hint


GOOD: dict[str, Any] = {
    "changes": [{"change": "c" * 32, "kind": "k"}], "host": None, "number": 7, "prev": None, "time": "t", "user": None, "write": "w",
}  # fmt: skip


def test_an_entry_is_whole_with_and_without_what_may_be_null() -> None:
    for more in (
        {},
        {"host": "h"},
        {"user": "u"},
        {"prev": "p"},
        {"author": "a"},
        {"changes": []},
        {"user": "jürgen 😀"},
        {"host": "\ud7ff\ue000"},
    ):
        entry = decode_entry(encode_json(sealed(GOOD | more)), 7, "entry")
        assert entry._asdict().items() >= (GOOD | more).items()


@pytest.mark.parametrize(
    "bad",
    [
        {"number": 8},
        {"number": 7.0},
        {"number": "7"},
        {"number": None},
        {"time": None},
        {"write": 1},
        {"host": 1},
        {"user": ["u"]},
        {"prev": 0},
        {"changes": {}},
        {"changes": None},
        {"changes": [1]},
        {"changes": [{}]},
        {"changes": [{"kind": "k"}]},
        {"changes": [{"change": "c"}]},
        {"changes": [{"kind": 1, "change": "c"}]},
        {"changes": [{"kind": "k", "change": None}]},
        {"more": 1},
        {"author": None},
        {"author": ""},
        {"author": ["ci"]},
        {"author": "\ud800"},
        {"time": "\ud800"},
        {"write": "w\udfff"},
        {"host": "\udc80"},
        {"user": "ü\ud900"},
        {"changes": [{"kind": "\ud800", "change": "c"}]},
        {"changes": [{"kind": "k", "change": "\ud800"}]},
    ],
    ids=str,
)
def test_entries_that_we_would_not_write_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DamagedLog, match="^entry is malformed") as error:
        decode_entry(encode_json(sealed(GOOD | bad)), 7, "entry")
    assert error.value.hint


def test_an_entry_without_one_of_its_fields_or_its_check_is_refused() -> None:
    for key in GOOD:
        with pytest.raises(DamagedLog, match="^entry is malformed"):
            decode_entry(encode_json(sealed({k: v for k, v in GOOD.items() if k != key})), 7, "entry")
    for value in ([], 7, "text", None, GOOD, sealed(GOOD) | {"check": "0" * 64}, sealed(GOOD) | {"check": None}):
        with pytest.raises(DamagedLog, match="^entry is malformed"):
            decode_entry(encode_json(value), 7, "entry")


def test_true_is_no_number_of_an_entry() -> None:
    with pytest.raises(DamagedLog, match="malformed"):
        decode_entry(encode_json(sealed(GOOD | {"number": True})), 1, "entry")


def test_text_that_looks_like_a_check_is_only_text() -> None:
    """The check is found in the bytes; changes stand before it, and other texts have their quotes escaped."""
    trap = '"check":"' + "0" * 64 + '",'
    value = GOOD | {
        "author": trap,
        "changes": [{"change": trap, "kind": trap, "check": "x"}],
        "host": trap,
        "user": trap,
        "write": trap,
    }
    assert decode_entry(encode_json(sealed(value)), 7, "entry").write == trap


# -- checkpoints ---------------------------------------------------------------------------------


def test_a_checkpoint_is_the_fold_up_to_an_entry_and_replaces_older_ones_but_the_newest(log: Log) -> None:
    entries = append(log, "a", "b", "c")
    assert log.checkpoint(log.listing()) is None
    log.save_checkpoint(2, entries[1].digest, {"state": [1, 2.5]})
    assert log.checkpoint(log.listing()) == (2, entries[1].digest, {"state": [1, 2.5]})
    log.save_checkpoint(3, entries[2].digest, "newer")
    assert log.checkpoint(log.listing()) == (3, entries[2].digest, "newer")
    assert log.checkpoint(log.listing(), until=2) == (2, entries[1].digest, {"state": [1, 2.5]})
    assert log.checkpoint(log.listing(), until=1) is None
    log.save_checkpoint(4, append(log, "d")[0].digest, "newest")
    assert sorted(name for name in log.listing() if "check" in name) == ["00000003.checkpoint", "00000004.checkpoint"]


def test_who_comes_late_with_an_older_checkpoint_takes_no_newer_one_away(log: Log) -> None:
    entries = append(log, "a", "b")
    log.save_checkpoint(2, entries[1].digest, "newer")
    log.save_checkpoint(1, entries[0].digest, "older")
    assert log.checkpoint(log.listing()) == (2, entries[1].digest, "newer")


class Noting(FolderStorage):
    """Notes how its files are replaced."""

    synced: dict[str, bool]

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        self.synced = {**getattr(self, "synced", {}), path: sync}
        super().replace(path, data, sync=sync)


def test_a_checkpoint_is_never_torn_by_a_power_cut(storage: FolderStorage) -> None:
    noting = Noting(storage.root)
    log = Log(noting, FOLDER)
    log.save_checkpoint(1, append(log, "a")[0].digest, None)
    assert noting.synced == {f"{FOLDER}/00000001.checkpoint": True}


def test_a_checkpoint_that_is_not_whole_or_of_another_log_gives_way_to_the_one_before(log: Log) -> None:
    entries = append(log, "a", "b", "c")
    folder = Path(log.storage.root, FOLDER)
    right = encode_checkpoint(1, entries[0].digest, "right")
    (folder / "00000001.checkpoint").write_bytes(right)
    expected = (1, entries[0].digest, "right")
    assert log.checkpoint(log.listing()) == expected
    for name, bad in (
        ("00000002.checkpoint", b""),
        ("00000002.checkpoint", right[:-1]),
        ("00000002.checkpoint", right),  # of another number than it says
        ("00000002.checkpoint", encode_checkpoint(2, entries[0].digest, "of another entry")),
        ("00000009.checkpoint", encode_checkpoint(9, entries[0].digest, "of an entry that is not there")),
        ("2.checkpoint", encode_checkpoint(2, entries[1].digest, "under a name that is not ours")),
    ):
        (folder / name).write_bytes(bad)
        assert log.checkpoint(log.listing()) == expected, name
        (folder / name).unlink()
    assert log.checkpoint([*log.listing(), "00000003.checkpoint"]) == expected, "listed, and gone since"


class Failing(FolderStorage):
    """A place that fails to read checkpoints."""

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        if path.endswith(".checkpoint"):
            raise StorageError("the disk failed")
        return super().read(path, offset, length)


def test_a_checkpoint_that_can_not_be_read_is_no_checkpoint(log: Log) -> None:
    log.save_checkpoint(1, append(log, "a")[0].digest, "state")
    assert Log(Failing(log.storage.root), FOLDER).checkpoint(log.listing()) is None


def test_no_byte_of_a_checkpoint_changes_unnoticed() -> None:
    data = encode_checkpoint(1, "0" * 64, {"a": 1})
    assert decode_checkpoint(data, "it") == (1, "0" * 64, {"a": 1})
    for place in range(len(data)):
        with pytest.raises(Damage, match="^it is damaged$"):
            decode_checkpoint(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], "it")


@pytest.mark.parametrize(
    "body", [7, [], [1, "d"], [1, "d", None, None], ["1", "d", None], [1, b"d", None], [True, "d", 0]]
)
def test_a_checkpoint_of_another_shape_is_refused(body: Any) -> None:
    data = encode_rows(body)
    with pytest.raises(Damage, match="^it is malformed$"):
        decode_checkpoint(data + plain_digest(data), "it")


# -- changes -------------------------------------------------------------------------------------


def test_a_change_is_of_the_entry_that_it_stands_in_unless_it_came_from_another_log(log: Log) -> None:
    (entry,) = append(log, "a")
    change = entry.changes[0]
    assert origin_of(entry, change) == {"host": "h", "time": entry.time, "user": "u"}
    elsewhere = {"host": "other", "time": "2023-11-14T22:13:20.001234Z", "user": None}
    assert origin_of(entry, change | {"by": elsewhere}) == elsewhere


def test_a_message_shows_no_control_characters_of_a_folder(storage: FolderStorage) -> None:
    with pytest.raises(DamagedLog, match=r"^entry 1 of refs/a\\x1b is missing"):
        Log(storage, "refs/a\x1b").read(1)
