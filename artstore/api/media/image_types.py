"""The types of columns of images: which masks, boxes, scores and classes there are, as W&B's pages need it."""

from typing import Any

from artstore.api.media.overlays import BoundingBoxes2D, Classes, ImageMask
from artstore.api.media.value import Told

NAME = "image-file"
_SETS = ("box_score_keys",)
_LAYERS = ("box_layers", "mask_layers")
_MAPS = ("box_class_maps", "mask_class_maps")
_NAMES = ("class_map",)


def type_of_image(
    classes: Classes | None, boxes: dict[str, BoundingBoxes2D] | None, masks: dict[str, ImageMask] | None
) -> Told:
    """The type of a column that holds an image with these."""
    if classes is None and not boxes and not masks:
        return PLAIN
    found: dict[str, Any] = {"box_score_keys": [], "class_map": {}}
    for prefix, layers in (("box", boxes or {}), ("mask", masks or {})):
        found[f"{prefix}_layers"] = {str(key): sorted(each.class_labels, key=str) for key, each in layers.items()}
        found[f"{prefix}_class_maps"] = {
            str(key): {str(id): name for id, name in each.class_labels.items()} for key, each in layers.items()
        }
    scores = (box.get("scores", {}) for each in (boxes or {}).values() for box in each.box_data)
    found["box_score_keys"] = sorted({name for each in scores for name in each})
    if classes is not None:
        found["class_map"] = {str(id): name for id, name in classes.labels().items()}
    return _typed(found)


def _typed(found: dict[str, Any]) -> Told:
    params = {
        key: {"wb_type": "const", "params": {"val": found[key], "is_set": key in _SETS}}
        for key in (*_LAYERS, *_SETS, *_MAPS, *_NAMES)
    }
    return {"wb_type": NAME, "params": params}


def merged(one: Told, other: Told) -> Told:
    """The type of a column that holds images of both types. The names of classes in `one` are kept."""
    if one == other:
        return one
    before, after = _values_of(one), _values_of(other)
    found: dict[str, Any] = {"box_score_keys": _united(before["box_score_keys"], after["box_score_keys"])}
    for name in _LAYERS:
        keys = [*before[name], *(key for key in after[name] if key not in before[name])]
        found[name] = {key: _united(before[name].get(key, []), after[name].get(key, [])) for key in keys}
    for name in _MAPS:
        keys = [*before[name], *(key for key in after[name] if key not in before[name])]
        found[name] = {key: {**after[name].get(key, {}), **before[name].get(key, {})} for key in keys}
    found["class_map"] = {**after["class_map"], **before["class_map"]}
    return _typed(found)


def _united(one: list[Any], other: list[Any]) -> list[Any]:
    return sorted({*one, *other}, key=str)


def _values_of(kind: Told) -> dict[str, Any]:
    """The values of a type's parameters. Those that aren't such, in a file that somebody made, count as empty."""
    params = kind.get("params")
    found = {}
    for name in (*_LAYERS, *_SETS, *_MAPS, *_NAMES):
        told = params.get(name) if isinstance(params, dict) else None
        value = told.get("params", {}).get("val") if isinstance(told, dict) else None
        empty: Any = [] if name in _SETS else {}
        found[name] = value if _is_right(name, value) else empty
    return found


def _is_right(name: str, value: Any) -> bool:
    if name in _SETS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not isinstance(value, dict):
        return False
    if name in _LAYERS:
        return all(
            isinstance(ids, list) and all(isinstance(id, str | int | float) for id in ids) for ids in value.values()
        )
    return name in _NAMES or all(isinstance(names, dict) for names in value.values())


PLAIN = _typed(_values_of({}))
"""The type of images without any of these."""
