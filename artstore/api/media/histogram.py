"""Histogram: how many values are in each of several ranges. It is stored where it is used, without a file."""

from typing import Any, Self

from artstore.api.media.value import Media, MediaPlace, MediaSource, Told, object_type, plain
from artstore.api.needed import needed
from artstore.errors import Damage, InvalidValue


class Histogram(Media):
    """The numbers of values in ranges.

    Example:
        >>> histogram = wandb.Histogram([1, 2, 2, 3], num_bins=2)
        >>> histogram.histogram, histogram.bins
        ([1, 3], [1.0, 2.0, 3.0])
    """

    type_name = "histogram"
    word = "histogram"
    MAX_LENGTH = 512
    """The most ranges."""

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        """Make a histogram.

        Args:
            sequence: Values, which numpy sorts into `num_bins` ranges of the same width.
            np_histogram: The counts and the edges of the ranges instead, as `numpy.histogram` returns them.
            num_bins: The number of ranges.

        Raises:
            InvalidValue: If there are too many ranges, or not one edge more than counts.
            NotFound: If numpy isn't installed, which a sequence needs.
        """
        if np_histogram:
            if len(np_histogram) != 2:
                raise InvalidValue(
                    "Expected np_histogram to be a tuple of (values, bin_edges) or sequence to be specified"
                )
            counts, edges = np_histogram
        else:
            sequence = sequence.detach().cpu() if hasattr(sequence, "detach") else sequence
            try:
                counts, edges = needed("numpy", "a Histogram of values").histogram(sequence, bins=num_bins)
            except (TypeError, ValueError) as error:
                raise InvalidValue(f"the values can't be counted: {error}") from error
        self.histogram: list[Any] = plain(counts)
        self.bins: list[Any] = plain(edges)
        if len(self.histogram) > self.MAX_LENGTH:
            raise InvalidValue(f"The maximum length of a histogram is {self.MAX_LENGTH}, not {len(self.histogram)}")
        if len(self.histogram) + 1 != len(self.bins):
            raise InvalidValue("len(bins) must be len(histogram) + 1")

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column: W&B has none of its own for histograms."""
        return object_type("Histogram")

    def to_json(self, place: MediaPlace | None = None) -> Told:
        """What is recorded of it."""
        return {"_type": self.type_name, "values": self.histogram, "bins": self.bins}

    @classmethod
    def from_json(cls, told: Any, source: MediaSource | None = None) -> Self:
        """The histogram that was recorded. Raises Damage if there is none."""
        counts, edges = told.get("values"), told.get("bins")
        for each in (counts, edges):
            if not isinstance(each, list) or not all(isinstance(one, int | float | None) for one in each):
                raise Damage("the histogram that is recorded here has no counts and edges")
        return cls(np_histogram=(counts, edges))

    def identity(self) -> Told:
        """Counts and edges."""
        return self.to_json()

    def __str__(self) -> str:
        return f"histogram of {len(self.histogram)} ranges"
