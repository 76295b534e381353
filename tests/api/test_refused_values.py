"""Values at the edges: what is refused with a sentence, and what is kept as it is."""

import datetime
import enum
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import artstore as wandb
from artstore.api import automations
from artstore.api.automations import FilterExpr, OnCreateArtifact
from artstore.api.tables import arrays, columns
from artstore.backends.references import Reference
from artstore.domain import difference
from artstore.domain.codec import encode_rows
from artstore.domain.digest import TREE, digest_of, plain_digest
from artstore.domain.filters import Time, matches
from artstore.domain.ignore import Rules
from artstore.domain.properties import is_origin
from artstore.domain.tree import DIRECTORY, FILE, PART, FileChange, encode_folder, find, split
from artstore.errors import Damage, InvalidType, InvalidValue, StorageError
from artstore.repository import Repository
from artstore.store.index import STRIDE, Index
from artstore.store.reading import _Read
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree

# -- metadata, runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: draft(metadata={"\ud800": 1}), InvalidValue, "the metadata key '.*' is not valid Unicode"),
        (lambda: log(draft(description="\ud800")), InvalidValue, "the description is not valid Unicode"),
        (lambda: wandb.init(colour="red"), InvalidType, r"init\(\) got an unexpected keyword argument 'colour'"),
        (lambda: wandb.init(reinit="create"), InvalidValue, "setting reinit must be one of default, .*, not 'create'"),
        (lambda: wandb.init(config="lr=1"), InvalidType, "config must be a dict, .* 'lr=1' is not a file"),
        (lambda: wandb.init().log({"a": draft()}), InvalidType, "'a' is an artifact, which can't be a value"),
    ],
)
def test_what_a_script_may_not_say(here: Path, make: Callable[[], Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        make()


def test_a_time_to_live_has_a_longest(here: Path) -> None:
    artifact = log(draft())
    with pytest.raises(InvalidValue, match="the most is a thousand years"):
        artifact.ttl = datetime.timedelta(days=400_000)


def test_a_metric_that_is_nested_without_end_is_cut(here: Path) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = {"d": deep}
    with wandb.init(id="deep") as run:
        run.log({"m": deep})
    shown = str(wandb.Api().run("deep").summary["m"])
    assert shown.count("'d'") == 101 and "…" in shown


def test_what_a_run_is_called_in_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_TAGS", "a, b")
    with wandb.init() as run:
        assert run.tags == ("a", "b")


# -- tables --------------------------------------------------------------------------------------


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: wandb.Table(columns=["\ud800"]), InvalidValue, "the column name .* is not valid Unicode"),
        (
            lambda: wandb.Table(columns=["a"], data=[[{1.5: 1}]]),
            InvalidType,
            "a dict's key in a table must be text, not 1.5",
        ),
        (
            lambda: wandb.Table(columns=["a"], data=[[datetime.datetime(1500, 1, 1, microsecond=1)]]),
            InvalidValue,
            "can't be stored to the microsecond",
        ),
    ],
)
def test_what_can_not_stand_in_a_table(make: Callable[[], Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        make()


def test_a_number_of_a_class_of_its_own_is_a_number() -> None:
    assert columns.type_of(Level.LOW) == columns.NUMBER
    optional = columns.as_optional(columns.NUMBER)
    assert columns.as_optional(optional) == optional and columns.as_optional(columns.NONE) == columns.NONE


def test_arrays_of_two_shapes_have_no_type_in_common() -> None:
    kinds = [columns.type_of(np.zeros(shape)) for shape in ((200,), (20, 20))]
    assert {kind["wb_type"] for kind in kinds} == {"ndarray"}
    assert columns.joined(kinds) not in kinds


def test_a_cell_that_is_no_list_stays_what_it_is_though_its_column_held_arrays() -> None:
    kind = columns.type_of([1.0])
    assert columns.decoded("x", kind, "array <f8") == "x"
    assert columns.decoded([1.0], kind, "array <f8").dtype == np.float64


def _arrays(data: bytes | Exception) -> Any:
    def opened(path: str) -> Any:
        if isinstance(data, Exception):
            raise data
        return io.BytesIO(data)

    kind: Any = {"wb_type": "ndarray", "params": {"serialization_path": {"path": "a.npz", "key": "a"}, "shape": [2]}}
    return arrays.array_of(kind, opened, "the table")


def test_a_column_of_arrays_is_read_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros((5000, 2)))
    assert _arrays(file.getvalue()).shape == (5000, 2)
    with pytest.raises(StorageError, match="the disk is broken"):
        _arrays(StorageError("the disk is broken"))
    monkeypatch.setattr(arrays, "LARGEST", 10_000)  # bytes; packed it is smaller than that
    assert len(file.getvalue()) < 10_000
    with pytest.raises(Damage, match="the table has a column of arrays that can't be read: it is too large"):
        _arrays(file.getvalue())


# -- filters, rules, differences -----------------------------------------------------------------


def test_a_day_is_all_of_it() -> None:
    fields = {"at": Time("2026-11-22T10:00:00Z")}.__getitem__
    assert matches({"at": datetime.date(2026, 11, 22)}, fields)
    assert matches({"at": "2026-11-22"}, fields) and not matches({"at": "2026-11-23"}, fields)
    assert matches({"at": {"$gte": datetime.date(2026, 11, 22)}}, fields)


def test_rules_of_a_folder_say_nothing_of_another() -> None:
    rules = Rules(["*.tmp"], "a/")
    assert (rules.match("a/x.tmp", False), rules.match("b/x.tmp", False)) == (True, None)


def test_so_many_differences_are_told_as_they_come_and_none_is_called_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = (b"x", FILE, 1, plain_digest(b"x"))
    changes = [FileChange(b"a", entry, None), FileChange(b"b", None, entry)]
    assert [found.kind for found in difference.differences(changes)] == ["renamed"]
    monkeypatch.setattr(difference, "RENAMES", 1)
    assert [found.kind for found in difference.differences(changes)] == ["removed", "added"]


def test_a_difference_is_shown_with_its_metadata(here: Path) -> None:
    log(draft(metadata={"lr": 1}))
    log(draft(text="2", metadata={"lr": 2}))
    api = wandb.Api()
    told = api.artifact("data:v0").diff(api.artifact("data:v1"))
    assert "lr: 1 → 2" in told._repr_html_() and told.summary().endswith("metadata, +0 B")


def test_conditions_of_metrics_and_events_are_joined_either_way_round() -> None:
    expression = FilterExpr({"state": "finished"})
    metric = automations.RunEvent.metric("loss") < 1
    assert expression & metric == metric & expression == metric._replace(run=expression)


def test_an_automation_is_edited_with_what_is_one(here: Path) -> None:
    log(draft())
    api = wandb.Api()
    scope = api.artifact_collection("artifact", "data")
    event = OnCreateArtifact(scope=scope)
    made = api.create_automation(event >> automations.DoNothing(), name="quiet")
    with pytest.raises(InvalidType, match="Expected a valid event, got: 'str'"):
        api.update_automation(made, event="CREATE_ARTIFACT")
    assert repr(api.update_automation(made, scope=made.scope).scope) == repr(made.scope)


# -- what is stored ------------------------------------------------------------------------------


def test_a_table_of_objects_names_no_pack_that_it_does_not_have() -> None:
    digest = plain_digest(b"x")
    row = digest + (5).to_bytes(4, "little") + bytes(4)
    assert len(row) == STRIDE
    assert list(Index([], row, 0, 1).places(digest)) == []


def test_a_pack_that_is_gone_gives_nothing() -> None:
    assert bytes(_Read("00" * 32, []).run(None).data) == b""


def test_another_versions_entry_has_a_place_and_a_path() -> None:
    assert not is_origin("data:v0") and not is_origin({"id": "x"})


def test_a_reference_has_a_longest() -> None:
    with pytest.raises(InvalidValue, match="is longer than"):
        Reference("s3://b/" + "x" * 100_000, None, "uri", "", None).entry(b"x")


# -- trees ---------------------------------------------------------------------------------------


class Trees:
    """Trees in memory."""

    def __init__(self) -> None:
        self.data: dict[Any, bytes] = {}

    def add(self, data: bytes) -> Any:
        digest = digest_of(TREE, data)
        self.data[digest] = data
        return digest


def _named(number: int) -> tuple[Any, ...]:
    return (f"{number:06}".encode(), FILE, 1, plain_digest(b"x"))


def test_a_name_before_all_others_of_a_split_folder_is_not_there() -> None:
    assert split([], always=True) == []
    trees = Trees()
    root = encode_folder([_named(number) for number in range(20_000)], trees.add)
    assert find(root.digest, [b"000007"], trees.data.__getitem__) == _named(7)
    assert find(root.digest, [b"!"], trees.data.__getitem__) is None


def test_a_path_through_a_folder_with_forged_totals_is_damage() -> None:
    trees = Trees()
    inner = trees.add(encode_rows([_named(1)]))
    lying = trees.add(encode_rows([(b"d", DIRECTORY, 99, inner, 1)]))
    with pytest.raises(Damage, match="does not have the totals that 'd' claims"):
        find(lying, [b"d", b"000001"], trees.data.__getitem__)
    parts = trees.add(encode_rows([(b"000001", PART, 99, inner, 1)]))
    with pytest.raises(Damage, match="has a part with wrong totals"):
        find(parts, [b"000001"], trees.data.__getitem__)


def test_what_is_listed_can_be_taken_one_by_one(here: Path) -> None:
    log(draft())
    versions = wandb.Api().artifacts("artifact", "data")
    assert next(versions).name == "data:v0"
    with pytest.raises(StopIteration):
        next(versions)
    assert versions != "data:v0" and versions != 5


class Place:
    """A path that is a URI."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __fspath__(self) -> str:
        return self._uri


def test_nothing_of_one_repository_is_logged_or_referenced_in_another(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged, drafted = log(draft()), draft("mine")
    other = make_tree(tmp_path / "other", {"x": "1"})
    Repository.init(str(other / ".artifacts")).close()
    monkeypatch.chdir(other)
    with wandb.init() as run:
        with pytest.raises(InvalidValue, match="artifact 'mine' is in repository .*, but the run is in"):
            run.log_artifact(drafted)
        theirs = wandb.Artifact("theirs", "dataset")
        with pytest.raises(InvalidValue, match="'f' is in .*, but this artifact is in"):
            theirs.add_reference(logged.get_entry("f"))
        assert [entry.path for entry in theirs.add_reference(Place((other / "x").as_uri()))] == ["x"]
