"""Lists of the Python interface: sequences whose items are made when they are asked for."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from artstore.domain.filters import Asked
from artstore.errors import InvalidType
from artstore.operations.finding.lookup import Version

if TYPE_CHECKING:
    from artstore.api.artifact import Artifact  # noqa: F401  for the class name in quotes

T = TypeVar("T")


def checked_order(order: Any, default: str) -> str:
    """An order such as `-created_at`; None and an empty text mean the default, as in W&B. Raises InvalidType."""
    if order is not None and not isinstance(order, str):
        raise InvalidType(f"an order must be text such as '-created_at', not {order!r:.80}")
    return order or default


def warn_if_misspelt(found: Sequence[Any], asked: Asked) -> None:
    """Warn if nothing was found, and the filter asked for a key that nothing has, but something a similar one."""
    for name, hint in asked.unset() if not found else ():
        if hint is not None:
            warnings.warn(f"the filter found nothing, because nothing has '{name}'; {hint}", stacklevel=3)


class Listing(Sequence[T], Generic[T]):
    """A sequence with a length, indices and slices. `next()` continues where it stopped, as W&B's paginators do."""

    def __init__(self, items: Sequence[Any], make: Callable[[Any], T]) -> None:
        self._items = items
        self._make = make
        self._iterator: Iterator[T] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def length(self) -> int:
        """The number of items."""
        return len(self)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Listing[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Listing[T]":
        if isinstance(index, slice):
            return Listing(self._items[index], self._make)
        return self._make(self._items[index])

    def __iter__(self) -> Iterator[T]:
        return (self._make(item) for item in self._items)

    def __next__(self) -> T:
        """The next item, from where the last call stopped. Raises StopIteration at the end."""
        if self._iterator is None:
            self._iterator = iter(self)
        return next(self._iterator)

    next = __next__

    def __eq__(self, other: object) -> bool:
        """Compare the items, as lists do."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:10]))
        return f"[{shown}{', …' if len(self) > 10 else ''}]"


class Artifacts(Listing["Artifact"]):
    """The artifacts of stored versions."""

    def __init__(self, root: str, found: Sequence[Version]) -> None:
        # Artifacts list other artifacts, such as links or those of their run. Only this import closes the circle.
        from artstore.api.artifact import Artifact

        super().__init__(found, lambda one: Artifact.of(root, one))
