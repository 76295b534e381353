"""Values of a run: config and summary as mappings whose keys are attributes too, and checks of values."""

import operator
import os
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from artstore.api.artifact import Artifact
from artstore.api.formless import check_config
from artstore.api.inner import as_inner, as_plain
from artstore.domain.metadata import recorded_dict, unpacked
from artstore.errors import Conflict, InvalidType, InvalidValue


class ArtifactValues(NamedTuple):
    """How artifacts are values of a run's config."""

    find: Callable[[Any], Artifact | None]
    """Returns the artifact that a value is or names; None for any other value."""
    use: Callable[[str, Artifact], dict[str, Any]]
    """Records that the run uses an artifact, and returns what is recorded as the value of a key."""


class Values(MutableMapping[str, Any]):
    """A run's config or summary: a mapping whose keys are attributes too."""

    def __init__(
        self,
        values: dict[str, Any],
        changed: Callable[[dict[str, Any], list[str]], None],
        *,
        fixed: bool,
        used: ArtifactValues | None = None,
        stored: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Start with these values.

        Args:
            values: The values that are recorded already.
            changed: Called with new values and removed keys, before they are kept. It may raise.
            fixed: Refuse another value for a key, unless `update(…, allow_val_change=True)` allows it.
            used: Finds and records artifacts that are values. Without it, no artifact can be one.
            stored: Stores tables and media among the values, and returns what is recorded for all.
        """
        vars(self).update(_values={}, _changed=changed, _fixed=fixed, _used=used, _stored=stored)
        self._keep(values)

    def _keep(self, values: dict[str, Any]) -> None:
        """Keep values that are recorded. Dicts in a summary are written when they are changed."""
        if self._stored is not None:
            values = {key: as_inner(value, partial(self._rewrite, key)) for key, value in values.items()}
        self._values.update(values)

    def _rewrite(self, key: str) -> None:
        self._changed({key: as_plain(self._values[key])}, [])

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        self._changed({}, [key])
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        try:
            return vars(self)["_values"][key]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute '{key}'") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def update(self, d: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:  # type: ignore[override]
        """Set several values. They are converted to JSON values, and written before this returns.

        Args:
            d: A dict, an argparse Namespace, or pairs.
            allow_val_change: Let values of config be changed.
            **more: More values.

        Raises:
            Conflict: If config has another value for a key, and `allow_val_change` isn't True.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     run.config.update({"lr": 0.1, "layers": 3})
            ...     run.config.lr
            0.1
        """
        given = {**as_dict_of(d), **more}
        found = {} if self._used is None else {key: self._used.find(value) for key, value in given.items()}
        artifacts = {key: artifact for key, artifact in found.items() if artifact is not None}
        others = {key: value for key, value in given.items() if key not in artifacts}
        if self._stored is None:
            check_config(others)
        new = plain_values(others if self._stored is None else self._stored(others))
        if self._fixed and not allow_val_change:
            for key, value in new.items():
                if key in self._values and self._values[key] != value:
                    raise Conflict(
                        f'Attempted to change value of key "{key}" from {self._values[key]!r} to {value!r}',
                        hint="config.update({…}, allow_val_change=True) changes it",
                    )
        new |= {key: self._used.use(key, artifact) for key, artifact in artifacts.items()}
        self._changed(new, [])
        self._keep(new | artifacts)

    def setdefaults(self, values: Any) -> dict[str, Any]:
        """Set the values whose keys aren't set yet, and return all as a dict."""
        self.update({key: value for key, value in as_dict_of(values).items() if key not in self._values})
        return self.as_dict()

    def as_dict(self) -> dict[str, Any]:
        """The values as a dict."""
        return dict(self._values)

    def persist(self) -> None:
        """Accepted as in W&B: every change is written at once."""

    def __reduce__(self) -> Any:
        """A copy, and what is pickled, has the values and belongs to no run."""
        return _detached, (self._values, self._fixed)

    def __repr__(self) -> str:
        return repr(self._values)


class ReadOnly(InvalidValue, AttributeError):
    """These values can't be changed."""


def read_only(values: dict[str, Any], removed: list[str]) -> None:
    """Raises ReadOnly for any change."""
    raise ReadOnly("run.config_static is a readonly object", hint="run.config can be changed")


def as_dict_of(values: Any) -> dict[str, Any]:
    """Config as users give it, as a dict. Raises InvalidType for a text or path."""
    if values is None:
        return {}
    if isinstance(values, str | os.PathLike):
        what = "config must be a dict, a Namespace or the path of a YAML file"
        raise InvalidType(f"{what}; '{os.fspath(values)[:80]}' is not a file")
    return dict(vars(values) if isinstance(values, SimpleNamespace) else unpacked(values))


def checked_step(step: Any) -> int:
    """A step, which may be numpy's. Raises InvalidType if it isn't a whole number, InvalidValue if it is too large."""
    try:
        number = None if isinstance(step, bool) else operator.index(step)
    except TypeError:
        number = None
    if number is None:
        raise InvalidType(f"a step must be a whole number, not {step!r:.80}")
    if not -(1 << 63) < number < 1 << 63:
        raise InvalidValue(f"step {number:.3e} is too large")
    return number


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """Config or metrics as they are recorded.

    Raises InvalidType for an artifact, because a run uses artifacts instead. Raises InvalidValue for text that is not
    valid Unicode, and for two keys with the same text.
    """
    for key, value in values.items():
        if isinstance(value, Artifact):
            raise InvalidType(
                f"config '{key}' is an artifact, which can't be a value", hint="run.use_artifact(artifact) records it"
            )
        if _holds_artifact(value):
            raise InvalidType(
                "Instances of wandb.Artifact can only be top level keys in a run's config",
                hint=f"'{key}' holds one: give it a key of its own",
            )
    return recorded_dict(values)


def _holds_artifact(value: Any, depth: int = 0) -> bool:
    """Whether an artifact is somewhere in nested dicts and lists."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth < _DEEPEST and any(isinstance(one, Artifact) or _holds_artifact(one, depth + 1) for one in inner)


_DEEPEST = 50


def _detached(values: dict[str, Any], fixed: bool) -> Values:
    """Values that belong to no run: a copy, or what was pickled."""
    return Values(values, _unrecorded, fixed=fixed)


def _unrecorded(values: dict[str, Any], removed: list[str]) -> None:
    """Changes of a copy are recorded nowhere."""
