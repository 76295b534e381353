"""`run.watch`: histograms of a PyTorch model's gradients and parameters, logged while it trains."""

import sys
from collections.abc import Callable
from typing import Any

from artstore.api.media.histogram import Histogram
from artstore.backends.callers import warn_caller
from artstore.errors import InvalidType, InvalidValue

_RANGES = 64
_CHOICES = ("gradients", "parameters", "all", None)


class Watches:
    """The models that a run watches."""

    def __init__(self, log: Callable[[dict[str, Any]], None]) -> None:
        """Log histograms with `log`, which adds them to the step that is current."""
        self._log = log
        self._handles: list[tuple[Any, Any]] = []
        self._count = 0

    def watch(self, models: Any, log: str | None, log_freq: int, idx: int | None) -> None:
        """Register hooks with models. Keys are W&B's: a model after the first one has `graph_N` before its names."""
        if log not in _CHOICES:
            raise InvalidValue(f"log must be one of 'gradients', 'parameters', 'all', or None, not {log!r}")
        models = models if isinstance(models, list | tuple) else [models]
        torch = sys.modules.get("torch")
        for model in models:
            if torch is None or not isinstance(model, torch.nn.Module):
                raise InvalidType(f"Expected a pytorch model (torch.nn.Module). Received {type(model)}")
        for number, model in enumerate(models, self._count if idx is None else idx):
            prefix = f"graph_{number}" if number else ""
            if log in ("parameters", "all"):
                self._watch_parameters(model, f"parameters/{prefix}", log_freq)
            if log in ("gradients", "all"):
                self._watch_gradients(model, f"gradients/{prefix}", log_freq)
        self._count += len(models)

    def unwatch(self, models: Any = None) -> None:
        """Remove the hooks of these models, or of all."""
        chosen = models if isinstance(models, list | tuple | None) else [models]
        kept = []
        for model, handle in self._handles:
            if chosen and not any(model is each for each in chosen):
                kept.append((model, handle))
            else:
                handle.remove()
        self._handles = kept

    def _watch_parameters(self, model: Any, prefix: str, every: int) -> None:
        def parameters(model: Any, *_: Any) -> dict[str, Any]:
            return {prefix + name: parameter for name, parameter in model.named_parameters()}

        try:
            self._handles.append((model, model.register_forward_hook(_Hook(parameters, self._counted, every))))
        except RuntimeError as error:  # a script that torch.jit compiled takes none
            warn_caller(f"the parameters of {type(model).__name__} can't be watched: {error}")

    def _watch_gradients(self, model: Any, prefix: str, every: int) -> None:
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                hook = _Hook(lambda gradient, key=prefix + name: {key: gradient}, self._counted, every)
                self._handles.append((model, parameter.register_hook(hook)))

    def _counted(self, tensors: dict[str, Any]) -> None:
        counted = {key: _histogram(tensor) for key, tensor in tensors.items()}
        self._log({key: histogram for key, histogram in counted.items() if histogram is not None})


class _Hook:
    """What PyTorch calls at each pass; every `every`-th call logs. A copy of a model, or a pickled one, has none."""

    def __init__(
        self, tensors: Callable[..., dict[str, Any]], log: Callable[[dict[str, Any]], None], every: int
    ) -> None:
        self._tensors, self._log, self._every, self._calls = tensors, log, every, 0

    def __call__(self, *given: Any) -> None:
        self._calls += 1
        if self._calls >= self._every:
            self._calls = 0
            self._log(self._tensors(*given))

    def __reduce__(self) -> tuple[type["_Unwatched"], tuple[()]]:
        return _Unwatched, ()


class _Unwatched:
    """The hook in a copy of a model: it does nothing."""

    def __call__(self, *_: Any) -> None:
        pass


def _histogram(tensor: Any) -> Histogram | None:
    """How often each value occurs, in 64 ranges. None if no value is finite. Zeros of a sparse tensor count."""
    torch = sys.modules["torch"]
    tensor = tensor.detach()
    zeros = 0
    if tensor.is_sparse:
        tensor = tensor.coalesce()
        zeros = tensor.numel() - tensor.values().numel()
        tensor = tensor.values()
    values = tensor.reshape(-1).cpu().to(torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    values = values[torch.isfinite(values)]
    if not len(values):
        return None
    low, high = values.min().item(), values.max().item()
    if zeros:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Histogram(np_histogram=([float(len(values) + zeros)], [low, high]))
    counts = values.histc(_RANGES, low, high)
    if zeros:
        counts += values.new_zeros(1).histc(_RANGES, low, high) * zeros
    return Histogram(np_histogram=(counts.tolist(), torch.linspace(low, high, _RANGES + 1).tolist()))
