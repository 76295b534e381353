"""What becomes of W&B's public names here: `python -m tests.adapters.names_of_wandb` prints a table of them.

It asks the wandb that is installed for its names: those of the package, the members of its public classes, the arguments of
all functions, and the settings. Each one works, is harmless (accepted without an effect, as our own documentation of it
says), is refused with a reason, or is inner: called by W&B's own code only. What is left is news.
"""

import importlib
import inspect
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from artstore.adapters.wandb_names.table import MODULES
from artstore.api.absent import ABSENT

CLASSES = {
    "Artifact": ("wandb.Artifact", "artstore.Artifact"),
    "Run": ("wandb.Run", "artstore.Run"),
    "Api": ("wandb.Api", "artstore.Api"),
    "Table": ("wandb.Table", "artstore.Table"),
    **{
        name: (f"wandb.{name}", f"artstore.{name}")
        for name in [
            "Image",
            "Audio",
            "Video",
            "Html",
            "Object3D",
            "Histogram",
            "Plotly",
            "Classes",
            "Molecule",
            "ArtifactTTL",
        ]
    },
    "public.Run": ("wandb.apis.public.Run", "artstore.api.runs.RunRecord"),
    "public.Project": ("wandb.apis.public.Project", "artstore.api.collections.Project"),
    "public.ArtifactCollection": (
        "wandb.apis.public.ArtifactCollection",
        "artstore.api.collections.ArtifactCollection",
    ),
    "public.ArtifactType": ("wandb.apis.public.ArtifactType", "artstore.api.collections.ArtifactType"),
    "public.Registry": ("wandb.apis.public.Registry", "artstore.api.registries.Registry"),
    "ArtifactManifest": ("wandb.sdk.artifacts.artifact_manifest.ArtifactManifest", "artstore.api.manifest.Manifest"),
    "ArtifactManifestEntry": (
        "wandb.sdk.artifacts.artifact_manifest_entry.ArtifactManifestEntry",
        "artstore.api.entries.Entry",
    ),
}
"""W&B's public classes, and ours."""
INNER = {
    "": "annotations patched wandb helper profiler keras xgboost lightgbm catboost",
    "media": (
        "MAX_DIMENSION MAX_ITEMS SUPPORTED_POINT_CLOUD_TYPES SUPPORTED_RDKIT_TYPES SUPPORTED_TYPES all_boxes all_captions all_masks "
        "bind_to_run captions durations encode file_is_set from_json get_media_subdir get_type guess_mode has_been_logged "
        "init_from_json inject_head is_bound make_plot_media path_is_reference resolve_ref sample_rates seq_to_json to_data_array "
        "to_json type_mapping with_suffix"
    ),
    "members": "INSTANCE_FIELD_NAMES snake_to_camel load load_full_data attrs client user_agent create from_path",
}
"""Names that only W&B's own code calls."""
ARGUMENTS = {"self", "run_or_artifact", "run", "json_obj", "source_artifact", "service_api", "client", "attrs", "lazy"}
"""Arguments that only W&B's own code gives."""


class Row(NamedTuple):
    """A name of W&B's, and what becomes of it."""

    name: str
    verdict: str
    reason: str = ""


def found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def members(thing: Any) -> list[str]:
    inherited = set(dir(BaseModel)) if inspect.isclass(thing) and issubclass(thing, BaseModel) else set()
    return sorted(name for name in dir(thing) if not name.startswith("_") and name not in inherited)


def has_no_effect(text: str | None, argument: str = "") -> bool:
    """Whether our documentation of a name, or of an argument, says that it is accepted only."""
    text = inspect.cleandoc(text or "")
    return bool(
        re.search(rf"^ *{argument}: Accepted as in W&B" if argument else r"\AAccepted as in W&B", text, re.MULTILINE)
    )


def has_attribute(ours: type, name: str) -> bool:
    """Whether the class, or one that it is made from, sets the name on its objects."""
    own = [kind for kind in ours.__mro__ if kind.__module__.startswith("artstore.")]
    return any(re.search(rf"self(\.{name}|[^=\n]*, self\.{name})\b[^=\n]*= ", inspect.getsource(kind)) for kind in own)


def of_name(name: str, ours: Any, reasons: dict[str, str], inner: str) -> Row:
    *_, last = name.split(".")
    if last in inner.split():
        return Row(name, "inner")
    if last in reasons:
        return Row(name, "refused", reasons[last])
    try:
        value = inspect.getattr_static(ours, last) if inspect.isclass(ours) else getattr(ours, last)
    except AttributeError:
        return Row(name, "works" if inspect.isclass(ours) and has_attribute(ours, last) else "unknown")
    return Row(name, "harmless" if has_no_effect(inspect.getdoc(value)) else "works")


def of_arguments(name: str, theirs: Any, ours: Any) -> Iterator[Row]:
    """Each argument of a function that both have."""
    try:
        wanted, here = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    except (TypeError, ValueError):
        return
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in here.values())
    for argument, parameter in wanted.items():
        if (
            argument.startswith("_")
            or argument in ARGUMENTS
            or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        ):
            continue
        verdict = "works" if argument in here else "harmless" if takes_all else "unknown"
        if verdict == "works" and has_no_effect(inspect.getdoc(ours), argument):
            verdict = "harmless"
        yield Row(f"{name}({argument}=)", verdict)


def of_package() -> Iterator[Row]:
    import wandb

    import artstore

    modules = {name for name in dir(wandb) if inspect.ismodule(getattr(wandb, name, None))}
    for name in sorted({*wandb.__all__, *members(wandb)} - modules):
        if name in ("config", "run", "summary"):
            yield Row(name, "works")
            continue
        row = of_name(name, artstore, ABSENT["artstore"], INNER[""])
        if row.verdict == "unknown" and name in MODULES[""]:
            row = Row(name, "works")
        yield row
        if row.verdict in ("works", "harmless") and inspect.isroutine(getattr(wandb, name)) and hasattr(artstore, name):
            yield from of_arguments(name, getattr(wandb, name), getattr(artstore, name))


def of_classes() -> Iterator[Row]:
    for label, (theirs, ours) in CLASSES.items():
        their_class, our_class = found(theirs), found(ours)
        inner = f"{INNER['media']} {INNER['members']}" if "." not in label else INNER["members"]
        reasons = ABSENT.get(our_class.__name__, {})
        if theirs.startswith("wandb.") and theirs.count(".") == 1 and label != "Run":
            yield from of_arguments(label, their_class.__init__, our_class.__init__)
        for name in members(their_class):
            row = of_name(f"{label}.{name}", our_class, reasons, inner)
            yield row
            if row.verdict in ("works", "harmless") and hasattr(our_class, name):
                yield from of_arguments(row.name, getattr(their_class, name), getattr(our_class, name))


def of_automations() -> Iterator[Row]:
    import wandb.automations

    import artstore.automations

    for name in wandb.automations.__all__:
        yield of_name(name, artstore.automations, ABSENT["automations"], "")


def of_settings() -> Iterator[Row]:
    """Each setting: whether `Settings` takes it, without a value."""
    import wandb

    import artstore
    from artstore.api.settings import OF_RUN

    for name in wandb.Settings.model_fields:
        try:
            artstore.Settings(**{name: None})
        except artstore.Error:
            yield Row(f"Settings.{name}", "unknown")
        else:
            yield Row(f"Settings.{name}", "works" if name in OF_RUN else "harmless")


def rows() -> list[Row]:
    """All names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # W&B's own, of what it no longer likes
        return [*of_package(), *of_classes(), *of_automations(), *of_settings()]


if __name__ == "__main__":
    for row in (all_rows := rows()):
        print(f"{row.name:50} {row.verdict:10} {row.reason}".rstrip())
    print(Counter(row.verdict for row in all_rows))
