"""Metadata of an artifact: what becomes plain JSON values, what is refused, and that it is checked wherever it enters."""

import argparse
import datetime
import decimal
import enum
import fractions
import itertools
import json
import math
import uuid
from array import array
from collections import ChainMap, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import artstore as wandb
from artstore.domain.metadata import as_numbers
from tests.support.artifacts import draft, log, names


class Colour(enum.IntEnum):
    RED = 1


@dataclass
class Optimiser:
    name: str
    betas: tuple[float, float]


class Tensor:
    """What PyTorch, JAX and others have in common."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def tolist(self) -> Any:
        return list(self.values) if len(self.values) != 1 else self.values[0]


class OfTensorFlow:
    shape = (2,)

    def numpy(self) -> Any:
        return Tensor(1, 2)


WHEN = datetime.datetime(2024, 1, 2, 3, 4, 5)
TAKEN: dict[str, tuple[Any, Any]] = {
    "tuple": ((1, (2,)), [1, [2]]), "set": ({3, 1, 2}, [1, 2, 3]), "frozenset": (frozenset({"a"}), ["a"]),
    "date": (WHEN.date(), "2024-01-02"), "datetime": (WHEN, "2024-01-02T03:04:05"), "enum": (Colour.RED, "RED"),
    "none": (None, None), "infinite": ([math.inf, -math.inf], ["Infinity", "-Infinity"]),
    "bool": (True, True), "big": (2**70, 2**70), "text": ("ä\x00\n", "ä\x00\n"), "float": (0.1, 0.1),
    "whole keys": ({0: "cat", 1: "dog"}, {"0": "cat", "1": "dog"}), "keys": ({True: 1, 0.5: 2}, {"True": 1, "0.5": 2}),
    "tensor": (Tensor(1, 2.5), [1, 2.5]), "tensor without dimensions": (Tensor(2.5), 2.5),
    "tensor of TensorFlow": (OfTensorFlow(), [1, 2]), "range": (range(3), [0, 1, 2]), "array": (array("d", [1, 2]), [1.0, 2.0]),
    "dataclass": ([Optimiser("adam", (0.9, 0.99))], [{"name": "adam", "betas": [0.9, 0.99]}]),
    "namespace": (argparse.Namespace(lr=1), {"lr": 1}), "queue": (deque([1]), [1]), "keys of a dict": ({"a": 1}.keys(), ["a"]),
    "mapping": (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    "dict": ({"a": {"b": ()}}, {"a": {"b": []}}), "path": ([Path("a/b")], ["a/b"]), "paths": ({Path("b"), Path("a")}, ["a", "b"]),
    "duration": (datetime.timedelta(days=1), "1 day, 0:00:00"), "decimal": (decimal.Decimal("1.10"), "1.10"),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"), "fraction": (fractions.Fraction(1, 3), "1/3"),
    "complex": (1 + 2j, "(1+2j)"), "slice": (slice(1, 2), {"slice_start": 1, "slice_step": None, "slice_stop": 2}),
    "huge": (1 << 2000, str(1 << 2000)),
    "huger": (1 << 20_000, hex(1 << 20_000)), "bytes": (b"\xc3\xa4", "ä"), "other bytes": (b"\xff", "b'\\xff'"),
    "function": (math.sqrt, "math.sqrt"), "class": (Colour, f"{__name__}.Colour"), "key without value": ({None: 1}, {"None": 1}),
    "tuple as key": ({(1, "a"): 1}, {"(1, 'a')": 1}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
def test_metadata_becomes_plain_json_values_at_construction_on_assignment_and_in_place(here: Path, kind: str) -> None:
    value, plain = TAKEN[kind]
    artifact = draft(metadata={"k": value})
    assert artifact.metadata == {"k": plain} and type(artifact.metadata["k"]) is type(plain)
    artifact.metadata = {"k": value, "assigned": value}
    assert artifact.metadata == {"k": plain, "assigned": plain}
    artifact.metadata["in place"] = value
    expected = {"k": plain, "assigned": plain, "in place": plain}
    assert log(artifact).metadata == wandb.Api().artifact("data").metadata == expected


@pytest.mark.parametrize("kind", TAKEN)
def test_config_summary_and_history_convert_values_as_metadata_does(here: Path, kind: str) -> None:
    value, plain = TAKEN[kind]
    with wandb.init(id="r", config={"k": value}) as run:
        run.config.update({"later": value})
        run.summary["s"] = value
        run.log({"h": value})
        assert run.config["k"] == run.config["later"] == plain
    done = wandb.Api().run("r")
    assert [done.config["k"], done.config["later"], done.summary["s"], done.summary["h"]] == [plain] * 4
    assert [row["h"] for row in done.scan_history()] == [as_numbers(plain)]


def test_nan_is_null_in_metadata_and_stays_nan_in_the_values_of_a_run(here: Path) -> None:
    assert _everywhere(math.nan)[:3] == [None, "NaN", "NaN"] and math.isnan(_everywhere(math.nan)[3])
    *texts, logged = _everywhere([{"a": math.nan}])
    assert texts == [[{"a": None}], *[[{"a": "NaN"}]] * 2] and math.isnan(logged[0]["a"])


def test_what_pandas_has_for_no_value_is_null_everywhere(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for missing in (pandas.NA, pandas.NaT):
        assert _everywhere(missing) == [None] * 4
    assert _everywhere(pandas.Series(["a", pandas.NA], dtype="string")) == [["a", None]] * 4


def test_a_pydantic_model_is_a_dict_everywhere_and_all_of_a_config(here: Path) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", lr=(float, ...), where=(Path, ...))(lr=0.1, where="a")
    assert _everywhere(model) == [{"lr": 0.1, "where": "a"}] * 4
    assert wandb.Artifact("data", metadata=model).metadata == {"lr": 0.1, "where": "a"}
    with wandb.init(config=model) as run:
        assert run.config.as_dict() == {"lr": 0.1, "where": "a"}


def test_a_dataclass_is_metadata_and_config_as_a_whole(here: Path) -> None:
    given = Optimiser("adam", (0.9, 0.99))
    plain = {"name": "adam", "betas": [0.9, 0.99]}
    assert wandb.Artifact("data", metadata=given).metadata == plain  # type: ignore[arg-type]
    with wandb.init(config=given) as run:
        assert run.config.as_dict() == plain


def test_numpys_scalars_and_arrays_become_numbers_and_lists_of_any_size() -> None:
    numpy = pytest.importorskip("numpy")
    given = {
        "f": numpy.float32(1.5), "i": numpy.int64(3), "b": numpy.bool_(True), "s": numpy.str_("x"), "0d": numpy.array(5),
        "2d": numpy.array([[1.0, math.nan], [2.0, 3.0]]), "long": numpy.arange(100_000),
    }  # fmt: skip
    assert wandb.Artifact("data", metadata=given).metadata == {
        "f": 1.5, "i": 3, "b": True, "s": "x", "0d": 5, "2d": [[1.0, None], [2.0, 3.0]], "long": list(range(100_000)),
    }  # fmt: skip
    assert wandb.Artifact("data", metadata={"a": numpy.array([math.inf])}).metadata == {"a": ["Infinity"]}
    assert wandb.Artifact("data", metadata={"a": numpy.complex128(1)}).metadata == {"a": "(1+0j)"}


def _everywhere(value: Any) -> list[Any]:
    """What metadata, config, summary and history make of a value."""
    artifact = wandb.Artifact("data", metadata={"k": value})
    with wandb.init(config={"k": value}) as run:
        run.summary["s"] = value
        run.log({"h": value})
    done = wandb.Api().run(run.id)
    return [artifact.metadata["k"], done.config["k"], done.summary["s"], next(iter(done.scan_history()))["h"]]


NANOSECONDS = "2020-01-01T00:00:00.123456789"
NUMPYS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "long float": (lambda np: np.longdouble("1.5"), 1.5),
    "long floats": (lambda np: np.array([[1.5], [2]], "g"), [[1.5], [2.0]]),
    "long float without dimensions": (lambda np: np.array(1.5, "g"), 1.5),
    "nanoseconds": (lambda np: np.datetime64(NANOSECONDS), NANOSECONDS),
    "whole nanoseconds": (lambda np: np.datetime64("2020-01-01T00:00:01", "ns"), "2020-01-01T00:00:01"),
    "seconds": (lambda np: np.datetime64("2020-01-01T00:00:01", "s"), "2020-01-01T00:00:01"),
    "day": (lambda np: np.datetime64("2020-01-01", "D"), "2020-01-01"),
    "day far away": (lambda np: np.datetime64("300000-01-01", "D"), "300000-01-01"),
    "nanoseconds without dimensions": (lambda np: np.array(NANOSECONDS, "M8[ns]"), NANOSECONDS),
    "array of nanoseconds": (lambda np: np.array([NANOSECONDS, "NaT"], "M8[ns]"), [NANOSECONDS, None]),
    "records": (lambda np: np.array([(1.5, NANOSECONDS)], [("a", "g"), ("t", "M8[ns]")]), [[1.5, NANOSECONDS]]),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMPYS)
def test_numpys_long_floats_become_floats_and_its_times_text_in_every_unit(here: Path, kind: str) -> None:
    make, plain = NUMPYS[kind]
    assert _everywhere(make(pytest.importorskip("numpy"))) == [plain] * 4


class Unpacks:
    """What is its own list."""

    def tolist(self) -> Any:
        return Unpacks()

    def __str__(self) -> str:
        return "itself"


def test_what_unpacks_to_itself_becomes_its_text(here: Path) -> None:
    np = pytest.importorskip("numpy")
    values = (
        Unpacks(),
        np.clongdouble(1),
        np.longdouble("1e4000"),
        np.timedelta64(5, "ns"),
        {np.datetime64(NANOSECONDS): 1},
    )
    texts = "itself", "(1+0j)", "1e+4000", "5 nanoseconds", {NANOSECONDS: 1}
    assert [_everywhere(value) for value in values] == [[text] * 4 for text in texts]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: "a", "1": "b"}, r"'k\.1' is given twice: two keys have the same text"),
        ([{"x": {1.5: "a", "1.5": "b"}}], r"'k\[0\]\.x\.1\.5' is given twice"),
        ("\ud800", "'k' is not valid Unicode"),
        ({"a": ["\ud800"]}, r"'k\.a\[0\]' is not valid Unicode"),
        ({"\ud800"}, "'k' is not valid Unicode"),
        ({"\ud800": 1}, r"the key '\\ud800' is not valid Unicode"),
    ],
)
def test_config_summary_and_history_refuse_what_would_be_lost(here: Path, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wandb.init(config={"k": value})
    with wandb.init(id="r") as run:
        for record in (run.config.update, run.summary.update, run.log):
            with pytest.raises(ValueError, match=said):
                record({"k": value})
        run.log({"after": 1})
    done = wandb.Api().run("r")
    assert done.config == {} and dict(done.summary)["after"] == 1 and "k" not in done.summary


class Shown:
    """What a notebook shows as more than text, as data frames and figures are."""

    def __repr__(self) -> str:
        return "0 1\n... ...\n[100 rows]"

    def _repr_html_(self) -> str:
        return "<table></table>"


LOOP: dict[str, Any] = {}
LOOP["itself"] = LOOP
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "object": ({"k": object()}, TypeError, "metadata 'k' is of type builtins.object, which has no JSON form"),
    "nested": ({"k": [{"p": object()}]}, TypeError, r"metadata 'k\[0\].p' is of type builtins.object"),
    "artifact": ({"k": wandb.Artifact("a", "b")}, TypeError, "metadata 'k' is of type .*Artifact, which has no JSON form"),
    "media": ({"k": [wandb.Html("x")]}, TypeError, r"metadata 'k\[0\]' is of type .*Html, which has no JSON form"),
    "frame": ({"k": Shown()}, TypeError, "metadata 'k' is of type .*Shown, which has no JSON form"),
    "key twice": ({"k": {1: "a", "1": "b"}}, ValueError, r"metadata 'k\.1' is given twice: two keys have the same text"),
    "torn key": ({"\ud800": 1}, ValueError, "the metadata key '.*' is not valid Unicode"),
    "surrogate": ({"k": "\ud800"}, ValueError, "metadata 'k' is not valid Unicode"),
    "loop": (LOOP, ValueError, "metadata '.*' is nested more than 100 levels deep"),
    "101 keys": (dict.fromkeys(map(str, range(101))), ValueError, "metadata has 101 top-level keys; at most 100"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_json_form_is_refused_when_given_when_assigned_and_when_logged(here: Path, kind: str) -> None:
    value, error, message = REFUSED[kind]
    artifact = draft()
    with pytest.raises(error, match=message):
        wandb.Artifact("data", metadata=value)
    with pytest.raises(error, match=message):
        artifact.metadata = value
    artifact.metadata.update(value)
    with pytest.raises(error, match=message):
        log(artifact)
    assert names() == [] and artifact.is_draft()
    artifact.metadata = {}
    stored = log(artifact)
    stored.metadata.update(value)
    with pytest.raises(error, match=message):
        stored.save()
    assert wandb.Api().artifact("data").metadata == {}


def test_metadata_may_be_json_text_of_a_dict_and_nothing_else() -> None:
    assert wandb.Artifact("data", metadata='{"a": [1, NaN]}').metadata == {"a": [1, None]}
    with pytest.raises(ValueError, match="metadata is not JSON: "):
        wandb.Artifact("data", metadata='{"a": ')
    with pytest.raises(TypeError, match="metadata must be a JSON object"):
        wandb.Artifact("data", metadata="[1]")
    for other in ([("a", 1)], 5):
        with pytest.raises(TypeError, match="metadata must be a dict, or the JSON text of one, not (list|int)"):
            wandb.Artifact("data", metadata=other)
    assert len(wandb.Artifact("data", metadata=dict.fromkeys(map(str, range(100)))).metadata) == 100


def test_a_value_that_nobody_would_read_is_refused_and_leaves_no_version(here: Path) -> None:
    with pytest.raises(ValueError, match="metadata 'k' would be 16777219 bytes of JSON; at most 16777216"):
        log(wandb.Artifact("data", "dataset", metadata={"k": "x" * (16 << 20)}))
    assert names() == []


def test_metadata_is_copied_deeply() -> None:
    given: dict[str, Any] = {"a": {"b": [1]}}
    artifact = wandb.Artifact("data", metadata=given)
    given["a"]["b"].append(2)
    assert artifact.metadata == {"a": {"b": [1]}}
    artifact.metadata = given
    given["a"]["b"].append(3)
    assert artifact.metadata == {"a": {"b": [1, 2]}}


COUNT = itertools.count()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
def test_any_json_value_comes_back_from_the_store_as_it_was(here: Path, metadata: dict[str, Any]) -> None:
    log(draft(f"data-{next(COUNT)}", metadata=metadata))
    (newest,) = wandb.Api().runs()[-1].logged_artifacts()
    assert json.dumps(newest.metadata, sort_keys=True) == json.dumps(metadata, sort_keys=True)
