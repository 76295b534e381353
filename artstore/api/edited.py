"""Edits of a recorded run: config, name, notes and tags by `update()`, the summary at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

from artstore.api.formless import check_config
from artstore.api.inner import as_inner, as_plain
from artstore.domain.codec import same_json
from artstore.domain.metadata import recorded_dict


class RecordedSummary(dict[str, Any]):
    """The summary of a recorded run. Each change is written at once."""

    def __init__(
        self,
        values: dict[str, Any],
        write: Callable[[dict[str, Any], list[str]], None],
        stored: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Keep the values of a run.

        Args:
            values: The values that were recorded.
            write: It is called with new values and removed keys, before they are kept.
            stored: Stores media that are among new values, and returns what is recorded for all.
        """
        super().__init__({key: as_inner(value, partial(self._rewrite, key)) for key, value in values.items()})
        self._write, self._stored = write, stored

    def _rewrite(self, key: str) -> None:
        self._write({key: as_plain(self[key])}, [])

    @property
    def _json_dict(self) -> dict[str, Any]:
        return dict(self)  # scripts for W&B ask for it

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._write({}, [key])
        super().__delitem__(key)

    def update(self, key_vals: Any = None, overwrite: bool = True, **more: Any) -> None:  # type: ignore[override]
        """Set several values, and write them before this returns.

        Args:
            key_vals: A dict of values.
            overwrite: False to keep the values of keys that are there.
            **more: More values.
        """
        given = recorded_dict(self._stored({**dict(key_vals or {}), **more}))
        new = {key: value for key, value in given.items() if overwrite or key not in self}
        if new:
            self._write(new, [])
            super().update({key: as_inner(value, partial(self._rewrite, key)) for key, value in new.items()})


def changed(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values of config that are new or different, as they are recorded, and the keys that are gone."""
    check_config(after)
    plain = recorded_dict(after)
    new = {key: value for key, value in plain.items() if key not in before or not same_json(before[key], value)}
    return new, [key for key in before if key not in plain]
