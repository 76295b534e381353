"""Files that are not tables: damage is our error, in bounded memory, at every boundary of pieces."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.tables import file as tablefiles
from artstore.errors import Damage, InvalidValue
from tests.support.artifacts import log, write
from tests.support.commands import Cli, environment
from tests.support.tables import _NUMBER, INF, _table, _typed, assert_same, read

np = pytest.importorskip("numpy")


# -- files that are no tables --


def _of_kind(kind: str, **more: str) -> str:
    return _table(_typed(f'{{"c": {kind}}}'), **more)


def _with_params(wb_type: str, params: str) -> str:
    return _of_kind(f'{{"wb_type": "{wb_type}", "params": {params}}}')


HOSTILE: dict[str, str | bytes] = {
    "empty": "",
    "text": "hello",
    "a list": "[]",
    "null": "null",
    "an empty object": "{}",
    "cut in a row": _table()[:-4],
    "cut before the columns": '{"data": [[1]], "columns": ["c"]',
    "no columns": '{"data": [[1]]}',
    "no data": '{"columns": ["c"], "column_types": {}}',
    "a list as key": '{[1]: 2, "columns": [], "column_types": {}, "data": []}',
    "an object as key": '{{}: 2, "columns": [], "column_types": {}, "data": []}',
    "a comma first": '{,"columns": []}',
    "a comma missing": '{"x": 1 "y": 2}',
    "a comma missing between rows": _table(data="[[1] [2]]"),
    "a comma after the last row": _table(data="[[1],]"),
    "types as a list": _table('{"params": []}'),
    "types as text": _table('{"params": "x"}'),
    "types mapped as a list": _table(_typed("[]")),
    "a type as text": _of_kind('"number"'),
    "a type without a name": _of_kind("{}"),
    "a union of a list": _with_params("union", "[]"),
    "a union of null": _with_params("union", "null"),
    "a union of a number": _with_params("union", '{"allowed_types": 5}'),
    "a union of nothing": _with_params("union", '{"allowed_types": null}'),
    "a union of text": _with_params("union", '{"allowed_types": ["x", {"wb_type": "none"}]}'),
    "arrays of null": _with_params("ndarray", "null"),
    "arrays of a list": _with_params("ndarray", '["serialization_path"]'),
    "arrays at text": _with_params("ndarray", '{"serialization_path": "x"}'),
    "arrays at null": _with_params("ndarray", '{"serialization_path": null}'),
    "arrays at a number": _with_params("ndarray", '{"serialization_path": {"path": 5, "key": "c"}}'),
    "arrays at a list": _with_params("ndarray", '{"serialization_path": {"path": [], "key": "c"}}'),
    "arrays that are absent": _with_params("ndarray", '{"serialization_path": {"path": "x.npz", "key": "c"}}'),
    "forms as a list": _table(more='"column_forms": []'),
    "a form as a number": _table(more='"column_forms": {"c": 5}'),
    "a form of no array": _table(more='"column_forms": {"c": "array zzz"}', data="[[[1]]]"),
    "a time out of range": _of_kind('{"wb_type": "timestamp"}', data="[[1e300]]"),
    "a time that is no number": _of_kind('{"wb_type": "timestamp"}', data="[[NaN]]"),
    "a short row": _table(data="[[1], []]"),
    "a long row": _table(data="[[1, 2]]"),
    "a number as row": _table(data="[1]"),
    "an object as row": _table(data='[{"c": 1}]'),
    "rows as an object": _table(data="{}"),
    "rows as null": _table(data="null"),
    "columns as null": _table(columns="null"),
    "columns as numbers with a point": _table(columns="[1.5]"),
    "columns as lists": _table(columns="[[]]"),
    "a cell nested deeply": _table(data="[[" + "[" * 100_000 + "]" * 100_000 + "]]"),
    "columns nested deeply": _table(columns="[" * 100_000 + "]" * 100_000),
    "objects without an end": '{"a":' * 100_000,
    "no UTF-8": b'{"columns": ["\xff"]}',
    "UTF-16": _table().encode("utf-16"),
    "an int of 5000 digits": _table(data=f"[[{'9' * 5000}]]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_table_is_damage(name: str) -> None:
    with pytest.raises(Damage) as caught:
        list(read(HOSTILE[name]).data)
    assert str(caught.value).startswith("'t.table.json' of data:v0 "), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        _of_kind('{"wb_type": "frobnicate"}'), _of_kind('{"wb_type": "frobnicate", "params": 5}'), _with_params("list", "{}"),
        _table("{}"), _table("null"), '{"columns": ["a"], "columns": ["c"], "column_types": {}, "data": [[1]], "data": [[2]]}',
    ],
    ids=["unknown type", "unknown parameters", "a list without its element", "no types", "null types", "keys twice"],
)  # fmt: skip
def test_a_file_that_says_strange_things_of_its_columns_is_read_or_is_damage(text: str) -> None:
    try:
        table = read(text)
    except Damage:
        return
    assert len(table) == 1
    try:
        table.add_data([1])
        table.write(io.BytesIO(), {}.__setitem__)
    except InvalidValue:
        pass  # a sentence, no crash


def test_damaged_tables_are_our_errors_at_the_artifact_and_at_the_command_line(here: Path, cli: Cli) -> None:
    names = [
        "text",
        "a short row",
        "types as a list",
        "no UTF-8",
        "a list as key",
        "arrays of null",
        "arrays that are absent",
    ]
    artifact = wandb.Artifact("data")
    for number, name in enumerate(names):
        with artifact.new_file(f"t{number}.table.json", "xb") as file:
            text = HOSTILE[name]
            file.write(text if isinstance(text, bytes) else text.encode())
    logged = log(artifact)
    for number, name in enumerate(names):
        with pytest.raises(Damage, match=f"^'t{number}.table.json' of data:v0 "):
            logged.get(f"t{number}")
        result = cli("cat", "data", f"t{number}", cwd=here)
        assert (result.code, result.out) == (7, ""), name
        assert result.err.startswith(f"error: 't{number}.table.json' of data:v0 "), name


_ARRAYS = _with_params("ndarray", '{"shape": [2], "serialization_path": {"path": "a.npz", "key": "c"}}')


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _zip(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, data)
    return out.getvalue()


def _flipped(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


_GOOD = _npz(c=np.ones((1, 2)))
_HUGE = _npy(np.ones((1, 2))).replace(b"(1, 2), }          ", b"(9999999999, 2), } ")

NO_ARRAYS: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "cut": _GOOD[:-30],
    "half": _GOOD[:100],
    "a byte changed": _flipped(_GOOD),
    "another key": _npz(d=np.ones(1)),
    "no archive": _npy(np.ones((1, 2))),
    "fewer than rows": _npz(c=np.ones((0, 2))),
    "no dimensions": _npz(c=np.array(5)),
    "no array in the archive": _zip("c.npy", b"hello"),
    "nothing in the archive's file": _zip("c.npy", b""),
    "a cut array": _zip("c.npy", _npy(np.ones((1, 2)))[:-5]),
    "a shape of terabytes": _zip("c.npy", _HUGE),
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_a_damaged_file_of_arrays_is_damage(name: str) -> None:
    with pytest.raises(Damage, match="^'t.table.json' of data:v0 "):
        read(_ARRAYS, {"a.npz": NO_ARRAYS[name]})


class _Touch:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def test_pickled_objects_in_a_file_of_arrays_are_never_run(here: Path) -> None:
    objects = np.array([_Touch()], dtype=object)
    for content in (_npz(c=objects), _npy(objects), pickle.dumps(_Touch()), _zip("c.npy", _npy(objects))):
        artifact = wandb.Artifact("data")
        for name, data in (("a.npz", content), ("t.table.json", _ARRAYS.encode())):
            with artifact.new_file(name, "xb") as file:
                file.write(data)
        logged = log(artifact)
        with pytest.raises(Damage):
            logged.get("t")
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "path", ["../../outside.npz", "/outside.npz", "media/absent.npz", "", ".", "a\x00b", "t.table.json"]
)
def test_arrays_are_read_from_the_same_artifact_only(here: Path, path: str) -> None:
    place = os.path.abspath("outside.npz") if path.startswith("/") else path
    Path("outside.npz").write_bytes(_GOOD)
    artifact = write(wandb.Artifact("data"), f="1")
    where = json.dumps({"shape": [2], "serialization_path": {"path": place, "key": "c"}})
    with artifact.new_file("t.table.json") as file:
        file.write(_with_params("ndarray", where))
    with pytest.raises(Damage):
        log(artifact).get("t")


BOUNDED = """
import sys
from artstore.errors import Damage
from artstore.api.tables.table import Table
def peak():
    with open("/proc/self/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) // 1024
start = peak()
try:
    found = Table.read(lambda: open(sys.argv[1], "rb"), None, "it").data[0][0]
    print("read", len(found))
except Damage as error:
    print("damage", error)
print(peak() - start)
"""


def _peak_of(tmp_path: Path, file: Path) -> tuple[str, int]:
    command = [sys.executable, "-c", BOUNDED, str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, peak = done.stdout.splitlines()
    return said.partition(" ")[0], int(peak)


def test_a_row_of_300_megabytes_is_damage_in_bounded_memory(tmp_path: Path) -> None:
    before, _, behind = _table(data='[["!"]]').partition("!")
    with open(tmp_path / "t", "wb") as file:
        file.write(before.encode())
        for _ in range(300):
            file.write(b"x" * (1 << 20))
        file.write(behind.encode())
    said, peak = _peak_of(tmp_path, tmp_path / "t")
    assert (said, peak < 700) == ("damage", True), peak


def test_a_form_of_huge_text_does_not_take_gigabytes(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(_table(more='"column_forms": {"c": "array <U50000000"}', data='[[["x", "y"]]]'))
    _, peak = _peak_of(tmp_path, tmp_path / "t")
    assert peak < 300


# -- reading piece by piece --

_CELLS = [[1], [-2.5e-3], ['é☃"[{😀'], [None], [-INF], [[1, [2, {"k": "\\"}]]]]
LAYOUTS: dict[str, str] = {
    "as it is written": _table(data=json.dumps(_CELLS)),
    "indented": json.dumps(json.loads(_table(data=json.dumps(_CELLS))), indent=2, ensure_ascii=False),
    "tabs and returns": _table(data=json.dumps(_CELLS)).replace(" ", "\t\r\n "),
    "data first": f'{{"data": {json.dumps(_CELLS)}, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}',
    "data between": f'{{"columns": ["c"], "data": {json.dumps(_CELLS)}, "ncols": 1, "column_types": {_typed(_NUMBER)}}}',
    "numbers beside": '{"a": 1.5, "b": -2e3, "c": 0.25E+2, "d": 12, ' + _table(data=json.dumps(_CELLS))[1:],
    "numbers behind": (
        f'{{"data": {json.dumps(_CELLS)}, "nrows": 6.0, "x": 1e0, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}'
    ),
}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 64])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_is_read_the_same_at_every_boundary_of_pieces(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    assert_same([*read(LAYOUTS[name]).data], _CELLS)


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("rows", ["[]", "[ ]", "[\n]"])
def test_a_table_without_rows_is_read_whatever_its_order(monkeypatch: pytest.MonkeyPatch, rows: str, size: int) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    for text in (_table(data=rows), f'{{"data": {rows}, "columns": ["c"], "column_types": {_typed(_NUMBER)}}}'):
        table = read(text)
        assert (table.columns, len(table)) == (["c"], 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_damage_is_damage_at_every_boundary_of_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tablefiles, "_CHUNK", size)
    for name in ("text", "cut in a row", "a short row", "a comma missing between rows", "no UTF-8", "columns as null"):
        with pytest.raises(Damage):
            list(read(HOSTILE[name]).data)
