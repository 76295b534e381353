"""Plotly: a figure that a page draws."""

import base64
import json
import os
from typing import Any

from artstore.api.media.content import Kept, content_of_file, read
from artstore.api.media.image import Image
from artstore.api.media.pixels import figure_of, is_figure
from artstore.api.media.value import Media, Told, object_type, plain
from artstore.api.needed import needed, package_of
from artstore.errors import InvalidType

_ENDING = ".plotly.json"


class Plotly(Media):
    """A figure of plotly, from the figure or from its JSON file.

    Example:
        >>> import pathlib
        >>> _ = pathlib.Path("loss.plotly.json").write_text('{"data": [{"y": [2, 1]}], "layout": {}}')
        >>> wandb.Plotly("loss.plotly.json")
        <Plotly loss.plotly.json>
    """

    type_name = "plotly-file"
    word = "plotly"
    folder = "media/plotly"

    def __init__(self, val: Any) -> None:
        """Make it of a figure of plotly, one of matplotlib that plotly can convert, or the path of a JSON file.

        Raises:
            InvalidType: If it is something else (also a ValueError).
            NotFound: If plotly isn't installed, which a figure of matplotlib needs.
        """
        if isinstance(val, str | os.PathLike):
            self.content = content_of_file(val)
            return
        if is_figure(val):
            val = needed("plotly.tools", "a Plotly of a figure of matplotlib").mpl_to_plotly(figure_of(val))
        if not is_plotly(val):
            raise InvalidType(
                "Logged plots must be plotly figures, or matplotlib plots convertible to plotly via mpl_to_plotly, "
                f"not {type(val).__name__}"
            )
        self.content = Kept(json.dumps(plain(_listed(val.to_plotly_json()))).encode())

    @classmethod
    def make_plot_media(cls, val: Any) -> "Plotly | Image":
        """A figure of plotly or matplotlib as a Plotly; as an Image if it is one of matplotlib that shows images."""
        shows_images = is_figure(val) and any(axis.images for axis in figure_of(val).axes)
        return Image(val) if shows_images else cls(val)

    @property
    def figure(self) -> Any:
        """The figure. Raises NotFound if plotly isn't installed."""
        return needed("plotly.io", "a figure").from_json(read(self.content).decode())

    @classmethod
    def column_type(cls) -> Told:
        """The type of a column: W&B has none of its own for plots."""
        return object_type("Plotly")

    def ending(self) -> str:
        """The ending of its file."""
        return _ENDING


def _listed(value: Any) -> Any:
    """A figure's JSON with lists instead of the base64 texts that plotly makes of arrays."""
    if isinstance(value, dict) and isinstance(value.get("bdata"), str) and "dtype" in value:
        array = needed("numpy", "a figure").frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
        return array.reshape([int(size) for size in str(value.get("shape", -1)).split(",")]).tolist()
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def is_plotly(value: Any) -> bool:
    """Whether a value is a figure of plotly."""
    return package_of(value) == "plotly" and hasattr(value, "to_plotly_json")
