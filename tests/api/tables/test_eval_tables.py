"""EvalTable: a table of an evaluation, whose columns have roles."""

from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from tests.support.runs import rows


def test_an_eval_table_is_stored_as_a_table_with_its_roles_in_the_history(here: Path) -> None:
    table = wandb.EvalTable(
        columns=["digit", "guess", "right"], data=[[7, "7", True]], input_columns=["digit"], score_columns=["right"]
    )
    table.add_data(1, "4", False)
    with wandb.init(id="r") as run:
        run.log({"eval": table})
    (row,) = rows("r")
    told = {"_type": "table-file", "nrows": 2, "ncols": 3, "log_mode": "IMMUTABLE"}
    roles = {"input_columns": ["digit"], "output_columns": ["guess"], "score_columns": ["right"]}
    assert row["eval"].items() >= (told | roles).items()
    stored = wandb.Api().artifact("run-r-eval:latest").get("eval")
    assert (stored.columns, stored.data) == (table.columns, table.data)


def test_columns_come_from_the_roles_and_none_are_needed(here: Path) -> None:
    table = wandb.EvalTable(input_columns=["a"], output_columns=["b"], score_columns=["c"], data=[[1, 2, 3]])
    assert table.columns == ["a", "b", "c"]
    assert wandb.EvalTable(columns=["x", 1]).roles() == {
        "input_columns": [], "output_columns": ["x", "1"], "score_columns": [],
    }  # fmt: skip
    assert isinstance(table, wandb.Table)
    assert wandb.Artifact("eval", "evaluation").add(table, "t").path == "t.table.json"


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"log_mode": "MUTABLE"}, wandb.UsageError, "EvalTable currently only supports log_mode='IMMUTABLE'"),
        ({"unsupported_media_mode": "drop"}, ValueError, "unsupported_media_mode must be one of"),
    ],
)
def test_what_an_eval_table_refuses(options: dict[str, Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        wandb.EvalTable(columns=["a"], **options)


def test_a_role_of_a_column_that_isn_t_there_is_an_error_when_it_is_logged(here: Path) -> None:
    table = wandb.EvalTable(columns=["a"], score_columns=["b"])
    with wandb.init() as run, pytest.raises(ValueError, match=r"Column\(s\) \['b'\] listed in"):
        run.log({"eval": table})
