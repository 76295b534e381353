"""Lists of the Python interface: sequences whose items are made when they are asked for, in W&B's pages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from artstore.backends.callers import warn_caller
from artstore.domain.filters import Asked
from artstore.errors import InvalidType, InvalidValue
from artstore.operations.finding.lookup import Version

if TYPE_CHECKING:
    from artstore.api.artifact import Artifact  # noqa: F401  for the class name in quotes

T = TypeVar("T")
_PAGE = 50
"""Items of a page, by default."""


def checked_order(order: Any, default: str) -> str:
    """An order such as `-created_at`; None and an empty text mean the default, as in W&B. Raises InvalidType."""
    if order is not None and not isinstance(order, str):
        raise InvalidType(f"an order must be text such as '-created_at', not {order!r:.80}")
    return order or default


def warn_of_nothing(found: Sequence[Any], asked: Asked, filters: Mapping[str, Any] | None) -> None:
    """Warn if nothing was found, and the filter asked for a key that nothing has, but something a similar one, or for
    a value of a kind that nothing has there.
    """
    if found:
        return
    why = [f"nothing has '{name}'; {hint}" for name, hint in asked.unset() if hint is not None]
    for reason in [*why, *asked.of_other_kinds(filters or {})]:
        warn_caller(f"the filter found nothing, because {reason}")


class Listing(Sequence[T], Generic[T]):
    """A sequence with a length, indices and slices. `next()` continues where it stopped, as W&B's paginators do.

    It has pages as theirs have: `more` and `cursor` follow what was looked at, and `start` goes on after a `cursor`.
    """

    def __init__(
        self, items: Sequence[Any], make: Callable[[Any], T], per_page: int | None = None, start: str | None = None
    ) -> None:
        if per_page is not None and per_page < 1:
            raise InvalidValue(f"per_page is {per_page}: it is a number of items, 1 or more")
        if start is not None and not (start.isascii() and start.isdigit()):
            raise InvalidValue(f"start '{start}' is not the cursor of a listing")
        self._start = start
        self._skipped = int(start or 0)
        self._items = items[self._skipped :] if start else items
        self._make = make
        self._iterator: Iterator[T] | None = None
        self.per_page = per_page or _PAGE
        """the items of a page"""
        self._looked_at: int | None = None

    @property
    def objects(self) -> list[T]:
        """The items, as a list."""
        return list(self)

    @property
    def more(self) -> bool:
        """Whether there is another page after the items that were looked at."""
        return self._looked_at is None or self._looked_at < len(self._items)

    @property
    def cursor(self) -> str | None:
        """Where the next page begins, for `start` of a later listing. None before anything was looked at."""
        return self._start if self._looked_at is None else str(self._skipped + self._looked_at)

    def _looking_at(self, index: int) -> None:
        """Count the pages up to an item as looked at."""
        pages = index // self.per_page + 1
        self._looked_at = min(max(self._looked_at or 0, pages * self.per_page), len(self._items))

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
            return Listing(self._items[index], self._make, self.per_page)
        item = self._items[index]
        self._looking_at(index if index >= 0 else len(self) + index)
        return self._make(item)

    def __iter__(self) -> Iterator[T]:
        self._looking_at(0)
        for index, item in enumerate(self._items):
            self._looking_at(index)
            yield self._make(item)

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

    def __reduce__(self) -> Any:
        """It is pickled and copied as a list."""
        return list, (list(self),)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:10]))
        return f"[{shown}{', …' if len(self) > 10 else ''}]"


class Artifacts(Listing["Artifact"]):
    """The artifacts of stored versions."""

    def __init__(
        self, root: str, found: Sequence[Version], per_page: int | None = None, start: str | None = None
    ) -> None:
        # Artifacts list other artifacts, such as links or those of their run. Only this import closes the circle.
        from artstore.api.artifact import Artifact

        super().__init__(found, lambda one: Artifact.of(root, one), per_page, start)
