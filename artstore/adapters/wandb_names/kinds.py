"""What `wandb.util` tells of a value: whether it is an array, a tensor, a frame or a figure. Nothing is loaded for it."""

import sys
from typing import Any

from artstore.adapters.wandb_names.library import get_full_typename
from artstore.api.media.pixels import figure_of
from artstore.api.needed import package_of


def is_numpy_array(obj: Any) -> bool:
    """Whether a value is an array of numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(obj, numpy.ndarray)


def is_pandas_data_frame(obj: Any) -> bool:
    """Whether a value is a data frame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(obj, pandas.DataFrame)


def is_pytorch_tensor(obj: Any) -> bool:
    """Whether a value is a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(obj, torch.Tensor)


def is_tf_tensor(obj: Any) -> bool:
    """Whether a value is a tensor of TensorFlow."""
    return package_of(obj) == "tensorflow" and is_tf_tensor_typename(get_full_typename(obj))


def is_pandas_data_frame_typename(typename: str) -> bool:
    """Whether the full name of a class is that of pandas' data frame."""
    return typename.startswith("pandas.") and "DataFrame" in typename


def is_matplotlib_typename(typename: str) -> bool:
    """Whether the full name of a class is one of matplotlib's."""
    return typename.startswith("matplotlib.")


def is_plotly_typename(typename: str) -> bool:
    """Whether the full name of a class is one of plotly's."""
    return typename.startswith("plotly.")


def is_plotly_figure_typename(typename: str) -> bool:
    """Whether the full name of a class is that of a figure of plotly."""
    return typename.startswith("plotly.") and typename.endswith(".Figure")


def is_pytorch_tensor_typename(typename: str) -> bool:
    """Whether the full name of a class is that of a tensor of PyTorch."""
    return typename.startswith("torch.") and ("Tensor" in typename or "Variable" in typename)


def is_fastai_tensor_typename(typename: str) -> bool:
    """Whether the full name of a class is that of a tensor of fastai."""
    return typename.startswith("fastai.") and "Tensor" in typename


def is_tf_tensor_typename(typename: str) -> bool:
    """Whether the full name of a class is that of a tensor of TensorFlow."""
    return typename.startswith("tensorflow.") and ("Tensor" in typename or "Variable" in typename)


def is_tf_eager_tensor_typename(typename: str) -> bool:
    """Whether the full name of a class is that of an eager tensor of TensorFlow."""
    return typename.startswith("tensorflow.") and "EagerTensor" in typename


def is_jax_tensor_typename(typename: str) -> bool:
    """Whether the full name of a class is that of an array of JAX."""
    return typename.startswith("jaxlib.") and "Array" in typename


def ensure_matplotlib_figure(obj: Any) -> Any:
    """The figure that something of matplotlib belongs to. Raises InvalidValue (a ValueError) if there is none."""
    return figure_of(obj)


def matplotlib_contains_images(obj: Any) -> bool:
    """Whether a figure of matplotlib has images in it."""
    return any(axes.images for axes in figure_of(obj).axes)


def alias_is_version_index(alias: str) -> bool:
    """Whether an alias is a version's number, such as `v0`."""
    return alias.startswith("v") and alias[1:].isnumeric()
