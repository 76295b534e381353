"""Write the golden ``<case>.table.json`` files of this folder with the real wandb.

The files in this folder were written by wandb 0.31.0 with numpy 2.4.6 and
pandas 3.1.1 (Python 3.11).  Every file holds the exact bytes that
``artifact.add(table, "<case>")`` puts into the artifact; arrays that wandb
stores beside the table lie in ``media/serialized_data/`` here as there (the
random id in their names is replaced by a counter).  Errors that wandb raises
for bad input are in ``errors.json``.

Run ``python make.py`` (needs wandb, numpy, pandas; no account, no network).
"""

import datetime as dt
import decimal
import json
import os
import shutil
import sys

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ["TZ"] = "UTC"

import numpy as np
import pandas as pd
import wandb
from wandb.sdk.data_types import table as table_module

HERE = os.path.dirname(os.path.abspath(__file__))

_count = 0


def _fixed_id(*_args, **_kwargs):
    global _count
    _count += 1
    return f"id{_count:06d}"


table_module.runid.generate_id = _fixed_id

T = wandb.Table
NAN, INF = float("nan"), float("inf")
UTC = dt.UTC
CET = dt.timezone(dt.timedelta(hours=1))


def _inputs_default():
    t = T()
    t.add_data("a", "b", "c")
    return t


def _with_added_column():
    t = T(columns=["a"], data=[[1], [2]])
    t.add_column("b", ["x", "y"])
    t.add_column("c", [None, 1.5], optional=True)
    t.add_computed_columns(lambda i, row: {"d": row["a"] * 10 + i})
    return t


def _cast():
    t = T(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    t.cast("b", str)
    return t


def _primary_key():
    t = T(columns=["id", "v"], data=[["a", 1], ["b", 2]])
    t.set_pk("id")
    return t


CASES = {
    # plain values
    "int": lambda: T(columns=["c"], data=[[1], [-2], [2**53 + 1]]),
    "float": lambda: T(columns=["c"], data=[[1.5], [-0.0], [1e300]]),
    "int_and_float": lambda: T(columns=["c"], data=[[1], [2.5]]),
    "str": lambda: T(columns=["c"], data=[["a"], [""], ['é\n"☃"']]),
    "bool": lambda: T(columns=["c"], data=[[True], [False]]),
    "none_only": lambda: T(columns=["c"], data=[[None], [None]]),
    "optional_mixed": lambda: T(columns=["i", "s", "b"], data=[[1, None, True], [None, "x", None]]),
    "not_optional": lambda: T(columns=["i", "s"], data=[[1, "x"], [2, "y"]], optional=False),
    "optional_list": lambda: T(columns=["i", "s"], data=[[1, "x"], [2, None]], optional=[False, True]),
    "allow_mixed": lambda: T(columns=["c"], data=[[1], ["x"], [None], [[1, "y"]]], allow_mixed_types=True),
    "bytes": lambda: T(columns=["c"], data=[[b"abc"], [b"d"]]),
    "nan_inf": lambda: T(columns=["c"], data=[[NAN], [INF], [-INF], [1.0]]),
    "nan_only": lambda: T(columns=["c"], data=[[NAN], [NAN]]),
    "empty": lambda: T(columns=["a", "b"]),
    "no_columns": lambda: T(columns=[]),
    "default_columns": _inputs_default,
    "int_columns_date": lambda: T(columns=[0], data=[[dt.date(2020, 1, 2)]]),
    "int_columns": lambda: T(columns=[0, 1], data=[[1, "x"], [2, "y"]]),
    "two_columns": lambda: T(columns=["b", "a"], data=[[1, "x"], [2, "y"]]),
    "wandb_artifact_str": lambda: T(columns=["c"], data=[["wandb-artifact://_id/abc"]]),
    "decimal": lambda: T(columns=["c"], data=[[decimal.Decimal("1.5")]]),
    "object": lambda: T(columns=["c"], data=[[print]]),
    # time
    "date": lambda: T(columns=["c"], data=[[dt.date(2020, 1, 2)], [dt.date(1969, 7, 20)]]),
    "datetime_naive": lambda: T(columns=["c"], data=[[dt.datetime(2020, 1, 2, 3, 4, 5, 678901)], [None]]),
    "datetime_aware": lambda: T(
        columns=["c"],
        data=[
            [dt.datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)],
            [dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=CET)],
        ],
    ),
    "datetime64": lambda: T(
        columns=["ms", "ns", "D"],
        data=[
            [
                np.datetime64("2020-01-02T03:04:05.678", "ms"),
                np.datetime64("2020-01-02T03:04:05.678901234", "ns"),
                np.datetime64("2020-01-02", "D"),
            ]
        ],
    ),
    # numpy
    "numpy_scalars": lambda: T(
        columns=["i8", "u16", "i64", "f16", "f32", "f64", "b", "s"],
        data=[
            [
                np.int8(-1),
                np.uint16(2),
                np.int64(3),
                np.float16(0.5),
                np.float32(0.1),
                np.float64(0.1),
                np.bool_(True),
                "x",
            ]
        ],
    ),
    "numpy_str": lambda: T(columns=["c"], data=[[np.str_("a")], [np.str_("b")]]),
    "numpy_nan": lambda: T(columns=["c"], data=[[np.float64("nan")], [np.float64(1.0)]]),
    "ndarray_1d": lambda: T(columns=["c"], data=[[np.array([1, 2, 3])], [np.array([4, 5, 6])]]),
    "ndarray_1d_150": lambda: T(columns=["c"], data=[[np.zeros(150, int)]]),
    "ndarray_1d_151": lambda: T(columns=["c"], data=[[np.zeros(151, int)]]),
    "ndarray_1d_none": lambda: T(columns=["c"], data=[[np.array([1, 2])], [None]]),
    "ndarray_2d": lambda: T(
        columns=["k", "c"],
        data=[["a", np.arange(4.0).reshape(2, 2)], ["b", np.ones((2, 2))]],
    ),
    "ndarray_2d_not_optional": lambda: T(columns=["c"], data=[[np.ones((2, 2))], [np.zeros((2, 2))]], optional=False),
    "ndarray_0d": lambda: T(columns=["c"], data=[[np.array(5)], [np.array(6)]]),
    "table_from_ndarray": lambda: T(columns=["a", "b"], data=np.array([[1.5, 2.0], [3.0, 4.0]])),
    # containers
    "list_equal": lambda: T(columns=["c"], data=[[[1, 2]], [[3, 4]]]),
    "list_unequal": lambda: T(columns=["c"], data=[[[1, 2]], [[3]], [[]]]),
    "list_nested": lambda: T(columns=["c"], data=[[[[1, 2], [3]]], [[[4], []]]]),
    "list_with_none": lambda: T(columns=["c"], data=[[[1, None]], [[None, 2]]]),
    "list_mixed": lambda: T(columns=["c"], data=[[[1, "x"]]]),
    "list_strings": lambda: T(columns=["c"], data=[[["a", "b"]], [["c", "d"]]]),
    "list_empty": lambda: T(columns=["c"], data=[[[]], [[]]]),
    "tuple": lambda: T(columns=["c"], data=[[(1, 2)], [(3, 4)]]),
    "set": lambda: T(columns=["c"], data=[[{1}], [{2}]]),
    "list_dates": lambda: T(columns=["c"], data=[[[dt.date(2020, 1, 2)]]]),
    "dict": lambda: T(columns=["c"], data=[[{"b": 1, "a": "x"}], [{"b": 2, "a": "y"}]]),
    "dict_nested": lambda: T(columns=["c"], data=[[{"a": {"b": [1, 2]}, "n": NAN}]]),
    "dict_int_keys": lambda: T(columns=["c"], data=[[{1: "a"}]]),
    "dict_empty": lambda: T(columns=["c"], data=[[{}], [{}]]),
    "dict_date": lambda: T(columns=["c"], data=[[{"d": dt.date(2020, 1, 2)}]]),
    "list_of_dicts": lambda: T(columns=["c"], data=[[[{"a": 1}, {"a": 2}]], [[{"a": 3}]]]),
    # dtypes
    "dtype_single": lambda: T(columns=["a", "b"], data=[[1, 2]], dtype=int),
    "dtype_list": lambda: T(
        columns=["i", "s", "b", "t", "l"],
        data=[[1, "x", True, dt.date(2020, 1, 2), [1]]],
        dtype=[int, str, bool, dt.datetime, [int]],
    ),
    "dtype_empty_rows": lambda: T(columns=["i", "s"], dtype=[int, str], optional=False),
    "dtype_dict": lambda: T(columns=["c"], data=[[{"a": 1, "b": "x"}]], dtype=[{"a": int, "b": str}]),
    "dtype_union": lambda: T(columns=["c", "d"], data=[[1, 1], ["x", 2]], dtype=[[int, str], int]),
    "dtype_const": lambda: T(columns=["c"], data=[[1]], dtype=[1]),
    "cast": _cast,
    "primary_key": _primary_key,
    # other ways to make a table
    "dataframe": lambda: T(
        dataframe=pd.DataFrame(
            {
                "i": [1, 2],
                "f": [0.5, NAN],
                "s": ["x", "y"],
                "b": [True, False],
                "t": pd.to_datetime(["2020-01-02T00:00:00", "2020-01-03T04:05:06"]),
            }
        )
    ),
    "dataframe_none_str": lambda: T(dataframe=pd.DataFrame({"s": np.array(["x", None], dtype=object)})),
    "added_columns": _with_added_column,
    "log_mode_mutable": lambda: T(columns=["c"], data=[[1]], log_mode="MUTABLE"),
    "log_mode_incremental": lambda: T(columns=["c"], data=[[1]], log_mode="INCREMENTAL"),
    "artifact_version": lambda: T(columns=["c"], data=[[{"_type": "artifactVersion", "id": "x"}]]),
}


def _bad_cast():
    t = T(columns=["c"], data=[["x"]])
    t.cast("c", int)


def _bad_add_column_len():
    T(columns=["c"], data=[["x"]]).add_column("d", [1, 2])


def _bad_incremental():
    T(columns=["c"], data=[["x"]], log_mode="INCREMENTAL").add_column("d", [1])


def _add(t):
    wandb.Artifact("a", type="dataset").add(t, "t")


ERRORS = {
    "str_after_int": lambda: T(columns=["c"], data=[[1], ["x"]]),
    "str_after_int_two_columns": lambda: T(columns=["a", "b"], data=[[1, 1], [2, "x"]]),
    "bool_after_int": lambda: T(columns=["c"], data=[[1], [True]]),
    "none_not_optional": lambda: T(columns=["c"], data=[[None]], optional=False),
    "nan_not_optional": lambda: T(columns=["c"], data=[[1.0], [NAN]], optional=False),
    "none_in_add_column": lambda: T(columns=["a"], data=[[1]]).add_column("b", [None]),
    "wrong_dtype": lambda: T(columns=["c"], data=[["x"]], dtype=int),
    "row_too_short": lambda: T(columns=["a", "b"], data=[[1]]),
    "row_too_long": lambda: T(columns=["a"]).add_data(1, 2),
    "row_wrong_length_default_columns": lambda: T(data=[[1, 2]]),
    "columns_not_list": lambda: T(columns=("a",)),
    "columns_wrong_type": lambda: T(columns=[1.5]),
    "columns_duplicate": lambda: T(columns=["a", "a"], data=[[1, 2]]),
    "columns_duplicate_types": lambda: T(columns=["a", "a"], data=[[1, "x"]]),
    "data_not_list": lambda: T(columns=["a"], data=((1,),)),
    "log_mode": lambda: T(columns=["a"], log_mode="X"),
    "cast": _bad_cast,
    "cast_const_set": lambda: T(columns=["c"], data=[["x"]]).cast("c", {"x"}),
    "cast_unknown_column": lambda: T(columns=["c"]).cast("d", int),
    "add_column_length": _bad_add_column_len,
    "add_column_exists": lambda: T(columns=["c"], data=[[1]]).add_column("c", [1]),
    "add_column_int_name": lambda: T(columns=["c"], data=[[1]]).add_column(1, [1]),
    "add_column_mixed": lambda: T(columns=["c"], data=[[1], [2]]).add_column("d", [1, "x"]),
    "add_column_incremental": _bad_incremental,
    "get_column_unknown": lambda: T(columns=["c"]).get_column("d"),
    "index_ref": lambda: T(columns=["c"]).index_ref(0),
    "array_shape": lambda: T(columns=["c"], data=[[np.ones(2)], [np.ones(3)]]),
    "dict_extra_key": lambda: T(columns=["c"], data=[[{"a": 1}], [{"a": 1, "b": 2}]]),
    "dict_missing_key": lambda: T(columns=["c"], data=[[{"a": 1, "b": 2}], [{"a": 1}]]),
    "list_element": lambda: T(columns=["c"], data=[[[1, 2]], [["x"]]]),
    "bytes_not_utf8": lambda: _add(T(columns=["c"], data=[[b"\xff"]])),
    "unknown_object": lambda: _add(T(columns=["c"], data=[[complex(1, 2)]])),
    "complex128": lambda: _add(T(columns=["c"], data=[[np.complex128(1)]])),
    "ndarray_2d_optional": lambda: _add(T(columns=["c"], data=[[np.ones((2, 2))], [None]])),
    "int_and_str_columns": lambda: _add(T(columns=[0, "a"], data=[[1, 2]])),
    "dict_int_keys_mixed": lambda: _add(T(columns=["c"], data=[[{1: 1, "a": 2}]])),
    "time": lambda: _add(T(columns=["c"], data=[[dt.time(1, 2)]])),
    "timedelta": lambda: _add(T(columns=["c"], data=[[dt.timedelta(1)]])),
}


def main():
    for name in os.listdir(HERE):
        if name.endswith(".table.json"):
            os.remove(os.path.join(HERE, name))
    shutil.rmtree(os.path.join(HERE, "media"), ignore_errors=True)

    artifact = wandb.Artifact("golden", type="dataset")
    failed = {}
    for name, make in CASES.items():
        try:
            artifact.add(make(), name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    for path, entry in artifact.manifest.entries.items():
        target = os.path.join(HERE, *path.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(entry.local_path, target)
        os.chmod(target, 0o644)

    errors = {}
    for name, make in ERRORS.items():
        try:
            make()
        except Exception as error:
            errors[name] = {"class": type(error).__name__, "text": str(error)}
        else:
            errors[name] = None
    with open(os.path.join(HERE, "errors.json"), "w", encoding="utf-8") as out:
        json.dump(errors, out, indent=1, sort_keys=True)
        out.write("\n")
    print(f"wandb {wandb.__version__}: {len(artifact.manifest.entries)} files", file=sys.stderr)
    for name, text in failed.items():
        print(f"FAILED {name}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
