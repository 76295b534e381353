"""The `extra` of an entry: what the place of a reference reports, and keys of the user's own."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from artstore.backends.callers import warn_caller


class Extra(dict[str, Any]):
    """What is known of an entry. Changes that can't be kept are left out with a warning."""

    def __init__(self, own: dict[str, Any], reported: dict[str, str], logged_as: Callable[[], str | None]) -> None:
        """The user's own keys, and those that its place reports. `logged_as` is the name of its version; None if none.

        Until the artifact is logged, what is set here is set in `own`.
        """
        super().__init__(own | reported)
        self._own, self._reported, self._logged_as = own, reported, logged_as

    def __reduce__(self) -> Any:
        """A copy, and what is pickled, is a dict."""
        return dict, (dict(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        if self._is_open(key):
            super().__setitem__(key, value)
            self._own[key] = value
        elif key not in self or self[key] != value:
            self._warn(f"dropped '{key}'", key)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if self._is_open(key):
            del self._own[key]
        else:
            self._warn(f"kept '{key}'", key)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key. Returns its value, or the default if it isn't there."""
        if default and key not in self:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def update(self, *given: Any, **more: Any) -> None:
        """Set keys one by one."""
        for key, value in dict(*given, **more).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is set to the default if it isn't there."""
        if key not in self:
            self[key] = default
        return self.get(key, default)

    # These delete keys one by one, by the methods above.
    popitem = MutableMapping.popitem
    clear = MutableMapping.clear

    def __ior__(self, given: Any) -> "Extra":  # type: ignore[override,misc]
        self.update(given)
        return self

    def replace(self, given: Mapping[str, Any]) -> None:
        """Have these keys, and no others of one's own."""
        for key in self._own.keys() - given.keys():
            del self[key]
        self.update(given)

    def _is_open(self, key: str) -> bool:
        """Whether a key can be set and removed."""
        return self._logged_as() is None and key not in self._reported

    def _warn(self, what: str, key: str) -> None:
        if (name := self._logged_as()) is None:
            warn_caller(f"{what}: it is what the place of the reference reports")
        else:
            warn_caller(f"{what}: {name} is logged, and its entries never change")
