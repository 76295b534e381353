"""Pictures: arrays, tensors and figures as Pillow's images, and those as bytes of a file."""

import io
from types import ModuleType
from typing import Any

from artstore.api.media.content import Content, read
from artstore.api.needed import needed, package_of
from artstore.domain.names import printable
from artstore.errors import InvalidType, InvalidValue

FORMATS = ("png", "jpg", "jpeg", "bmp")
"""The types of files that an image of data can be stored as."""
_WITHOUT_ALPHA = ("jpg", "jpeg")
_MODES = {
    "jpeg": ("L", "RGB", "CMYK"),
    "bmp": ("1", "L", "P", "RGB"),
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
}
"""The modes that Pillow writes to a file of a type."""


def pillow() -> Any:
    """The module PIL.Image. Raises NotFound if it isn't installed."""
    return needed("PIL.Image", "an Image", "pillow")


def picture_in(content: Content) -> Any:
    """The picture in a file, as an image of Pillow. Raises InvalidValue if it isn't one, NotFound without Pillow."""
    module, data = pillow(), io.BytesIO(read(content))
    try:
        picture = module.open(data)
        if picture.format == "EPS" and content.stored:
            raise ValueError("it is PostScript, a program that somebody else wrote")
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # readers of the formats raise errors of any kind for files that aren't right
        name = printable(content.name or "the image")
        raise InvalidValue(f"{name} is not an image that Pillow can read: {error}") from error
    return picture


def is_figure(value: Any) -> bool:
    """Whether a value is matplotlib's: a figure, axes, another part of a figure, or the module pyplot."""
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    return name.startswith("matplotlib.")


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of torch."""
    return package_of(value) == "torch" and hasattr(value, "detach")


def figure_of(value: Any) -> Any:
    """The figure that something of matplotlib belongs to. Raises InvalidValue if there is none."""
    if isinstance(value, ModuleType):
        value = value.gcf()
    figure = value if hasattr(value, "savefig") else getattr(value, "figure", None)
    if not hasattr(figure, "savefig"):
        raise InvalidValue("Only matplotlib.pyplot or matplotlib.pyplot.Figure objects are accepted.")
    return figure


def drawn(value: Any, format: str) -> bytes:
    """Something of matplotlib as the bytes of a file of this format."""
    out = io.BytesIO()
    figure_of(value).savefig(out, format=format)
    return out.getvalue()


def picture_of(data: Any, mode: str | None, format: str, *, normalize: bool) -> Any:
    """An array, a tensor or an image of Pillow as an image of Pillow that a file of this format can hold."""
    if package_of(data) == "PIL":
        return data
    array = _array_of(data)
    mode = mode or _mode_of(array, format)
    return pillow().fromarray(_bytes_of(array, normalize)).convert(mode)


def encoded(picture: Any, format: str) -> bytes:
    """A picture as the bytes of a file. Raises InvalidValue if Pillow can't write it."""
    kind = "jpeg" if format == "jpg" else format
    if picture.mode not in _MODES[kind]:
        picture = picture.convert("RGBA" if kind == "png" and "A" in picture.mode else "RGB")
    out = io.BytesIO()
    try:
        picture.save(out, kind)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"the image can't be stored as {format}: {error}") from error
    return out.getvalue()


def _array_of(data: Any) -> Any:
    """The pixels as a numpy array: height, width, and channels if there are several."""
    np = needed("numpy", "an Image of an array")
    if is_tensor(data):  # its channels come first
        data = data.detach().cpu()
        data = (data.float() if "bfloat16" in str(data.dtype) else data).numpy()
        data = np.moveaxis(data, 0, -1) if data.ndim == 3 else data
    elif hasattr(data, "numpy"):  # of TensorFlow
        data = data.numpy()
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise InvalidType(
            f"an Image can't be made of {type(data).__name__} values: it takes numbers, a figure or a path"
        )
    while array.ndim > 3 and 1 in array.shape:
        array = array.squeeze(array.shape.index(1))
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[:, :, 0]
    elif array.ndim == 3 and array.shape[0] == 1 and array.shape[-1] not in (3, 4):
        array = array[0]
    if array.ndim < 2 or 0 in array.shape:
        raise InvalidValue(f"Un-supported shape for image conversion {list(array.shape)}")
    return array


def _mode_of(array: Any, format: str) -> str:
    channels = array.shape[-1]
    if array.ndim == 2:
        return "L"
    if array.ndim == 3 and channels == 3:
        return "RGB"
    if array.ndim == 3 and channels == 4:
        return "RGB" if format in _WITHOUT_ALPHA else "RGBA"
    raise InvalidValue(f"Un-supported shape for image conversion {list(array.shape)}")


def _bytes_of(array: Any, normalize: bool) -> Any:
    """Pixels from 0 to 255.

    Booleans and floats from 0 to 1, or from -1 to 1, are spread over that range, as W&B did; all others are cut to it.
    """
    np = needed("numpy", "an Image of an array")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        array = array.astype("uint8") * (255 if normalize else 1)
    if array.dtype.kind == "f":
        array = np.nan_to_num(array.astype("float64"))
        least, most = array.min(), array.max()
        if normalize and least >= 0 and most <= 1:
            array = array * 255
        elif normalize and least >= -1 and most <= 1:
            array = (array + 1) * 127.5
    return array.clip(0, 255).astype("uint8")
