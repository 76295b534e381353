"""Listed runs, and the histories of all of them together."""

from typing import Any, Literal

from artstore.api.listing import Listing
from artstore.api.needed import needed
from artstore.api.runs import RunRecord
from artstore.errors import InvalidValue


class RecordedRuns(Listing[RunRecord]):
    """Runs that were recorded."""

    def histories(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        format: Literal["default", "pandas", "polars"] = "default",
        stream: Literal["default", "system"] = "default",
    ) -> Any:
        """The rows that the runs logged, one run after the other. Each row has the `run_id`.

        Args:
            samples: The most rows of a run, evenly chosen; 0 for all.
            keys: Only these metrics and the x axis, from the rows that have all of them.
            x_axis: The metric to add to `keys`.
            format: `default` for a list of dicts, or `pandas` or `polars` for a DataFrame.
            stream: `system` for the samples of the machine.

        Raises:
            InvalidValue: If there is no such format.
            NotFound: If the package isn't installed.

        Example:
            >>> wandb.Api().runs("digits").histories(keys=["loss"])
            [{'_step': 0, 'loss': 0.5, 'run_id': 'train-1'}, {'_step': 1, 'loss': 0.25, 'run_id': 'train-1'}]
        """
        if format not in ("default", "pandas", "polars"):
            raise InvalidValue(f"Invalid format: {format}. Must be one of 'default', 'pandas', 'polars'")
        rows = [
            {**row, "run_id": run.id}
            for run in self
            for row in run.history(samples, keys, x_axis, pandas=False, stream=stream)
        ]
        return rows if format == "default" else needed(format, f"histories(format='{format}')").DataFrame(rows)
