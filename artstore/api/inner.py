"""Dicts inside a summary: what is changed in them is written as the summary's own values are."""

from collections.abc import Callable
from typing import Any

from artstore.domain.metadata import recorded_dict


class Inner(dict[str, Any]):
    """A dict inside a summary, whose keys are attributes too. After each change it calls a function."""

    __slots__ = ("_changed",)

    def __init__(self, values: dict[str, Any], changed: Callable[[], None]) -> None:
        super().__init__({key: as_inner(value, changed) for key, value in values.items()})
        object.__setattr__(self, "_changed", changed)

    def update(self, *given: Any, **more: Any) -> None:
        """Set several values. They are converted to JSON values."""
        new = recorded_dict({**dict(*given), **more})
        super().update({key: as_inner(value, self._changed) for key, value in new.items()})
        self._changed()

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __ior__(self, other: Any) -> "Inner":  # type: ignore[override, misc]
        self.update(other)
        return self

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._changed()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Set a value, unless there is one; return the one that counts."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a value and return it."""
        value = super().pop(key, *default)
        self._changed()
        return value

    def clear(self) -> None:
        """Remove all values."""
        super().clear()
        self._changed()

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"the summary has no '{key}' there") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __reduce__(self) -> Any:
        """A copy, and what is pickled, is a dict that belongs to no summary."""
        return dict, (dict(self),)


def as_inner(value: Any, changed: Callable[[], None]) -> Any:
    """A value of a summary; a dict calls `changed` after each change."""
    return Inner(value, changed) if isinstance(value, dict) else value


def as_plain(value: Any) -> Any:
    """A value as it is recorded, with dicts of its own."""
    return {key: as_plain(one) for key, one in value.items()} if isinstance(value, dict) else value
