"""EvalTable: a table whose columns are the inputs, outputs and scores of an evaluation."""

from typing import Any

from artstore.api.tables.file import IMMUTABLE
from artstore.api.tables.table import Table
from artstore.domain.names import printable
from artstore.errors import InvalidValue, UsageError

_MODES = "stub", "raise"


class EvalTable(Table):
    """A table of an evaluation. It is stored as a table, and a run's history says which columns have which role.

    Example:
        >>> answers = wandb.EvalTable(input_columns=["digit"], score_columns=["right"], data=[[7, True], [1, False]])
        >>> with wandb.init(project="digits") as run:
        ...     run.log({"answers": answers})
        >>> run.summary["answers"]["score_columns"]
        ['right']
    """

    def __init__(
        self,
        columns: Any = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | list[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = IMMUTABLE,
        *,
        input_columns: list[str] | None = None,
        output_columns: list[str] | None = None,
        score_columns: list[str] | None = None,
        backend: str | None = None,
        unsupported_media_mode: str = "stub",
    ) -> None:
        """Make a table, with the arguments of `Table`, and of which the columns have roles.

        Args:
            columns: The names of the columns; by default those of the three roles, in their order.
            data: The rows.
            rows: The rows, if `data` isn't given.
            dataframe: A pandas DataFrame or pyarrow Table, whose columns are copied.
            dtype: The type of all columns, or a list with one for each.
            optional: Whether None is allowed, for all columns or as a list for each.
            allow_mixed_types: Allow any values in a column.
            log_mode: `IMMUTABLE`; W&B knows no other one here.
            input_columns: The columns of inputs, by which rows of several evaluations are matched.
            output_columns: The columns of outputs. A column without a role is one, too.
            score_columns: The columns of scores.
            backend: Accepted as in W&B; it changes nothing.
            unsupported_media_mode: Accepted as in W&B; all media of tables are stored.

        Raises:
            UsageError: If `log_mode` is another one.
            InvalidValue: If `unsupported_media_mode` isn't one of W&B's (a ValueError).
        """
        if log_mode not in (IMMUTABLE, None):
            raise UsageError("EvalTable currently only supports log_mode='IMMUTABLE'.")
        if unsupported_media_mode not in _MODES:
            raise InvalidValue(f"unsupported_media_mode must be one of {_MODES}, got {unsupported_media_mode!r:.80}.")
        given = {"input": input_columns, "output": output_columns, "score": score_columns}
        self._roles = {role: list(names or []) for role, names in given.items()}
        if columns is None and dataframe is None:
            columns = [name for names in self._roles.values() for name in names] or None
        super().__init__(columns, data, rows, dataframe, dtype, optional, allow_mixed_types, log_mode)

    def roles(self) -> dict[str, list[str]]:
        """The columns by role: `input_columns`, `output_columns` and `score_columns`.

        Raises:
            InvalidValue: If a role names a column that the table doesn't have.
        """
        columns = [str(name) for name in self.columns]
        taken = {name for names in self._roles.values() for name in names}
        if unknown := sorted(map(str, taken - set(columns))):
            raise InvalidValue(
                f"Column(s) {printable(str(unknown))} listed in input/output/score_columns do not exist in the table."
            )
        rest = [name for name in columns if name not in taken]
        return {f"{role}_columns": names + (rest if role == "output" else []) for role, names in self._roles.items()}
