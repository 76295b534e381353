"""The table of W&B's modules: which names each has here, and where artstore has them."""

VERSION = "0.31.0"
"""The version of W&B's package whose names these are, and whose behaviour the tests check."""
LOCAL = "artstore"
"""The end of the version in the metadata: it tells ours from W&B's package."""

_LIBRARY = "artstore.adapters.wandb_names.library"
_VALUES = "artstore.adapters.wandb_names.values"
_TERMINAL = "artstore.api.terminal"
_MEDIA = (
    "Audio", "Bokeh", "BoundingBoxes2D", "Classes", "EvalTable", "Histogram", "Html", "Image", "ImageMask", "JoinedTable",
    "Molecule", "Object3D", "PartitionedTable", "Plotly", "Table", "Video",
)  # fmt: skip
_ERRORS = (
    "AuthenticationError", "CommError", "Error", "UnsupportedError", "UsageError", "WandbCoreNotAvailableError",
)  # fmt: skip
_TERM = ("termerror", "termlog", "termsetup", "termwarn")
_LIB = {
    "disabled": ("RunDisabled",),
    "filesystem": ("mkdir_exists_ok",),
    "paths": ("FilePathStr", "LogicalPath", "StrPath", "URIStr"),
    "printer": ("get_printer", "new_printer=get_printer"),
    "runid": ("generate_fast_id=generate_id", "generate_id"),
    "telemetry": ("context",),
}
_UTIL = (
    "artifact_to_json", "generate_id", "get_full_typename", "json_dump_safer",
    "json_dumps_safer", "json_dumps_safer_history=json_dumps_safer", "json_friendly", "json_friendly_val",
    "make_artifact_name_safe", "random_string", "to_forward_slash_path",
)  # fmt: skip

_DIGESTS = "artstore.adapters.wandb_names.digests"
_KINDS = "artstore.adapters.wandb_names.kinds"
_TOLD = (
    "alias_is_version_index", "ensure_matplotlib_figure", "is_fastai_tensor_typename", "is_jax_tensor_typename",
    "is_matplotlib_typename", "is_numpy_array", "is_pandas_data_frame", "is_pandas_data_frame_typename",
    "is_plotly_figure_typename", "is_plotly_typename", "is_pytorch_tensor", "is_pytorch_tensor_typename",
    "is_tf_eager_tensor_typename", "is_tf_tensor", "is_tf_tensor_typename", "matplotlib_contains_images",
)  # fmt: skip

_CHARTS = "artstore.api.plots.chart"
_PLOTS = {
    **{name: f"artstore.api.plots.simple.{name}" for name in ("bar", "histogram", "line", "line_series", "scatter")},
    **{name: f"artstore.api.plots.classes.{name}" for name in ("confusion_matrix", "pr_curve", "roc_curve")},
    **{name: f"{_CHARTS}.{name}" for name in ("CustomChart", "Visualize", "plot_table", "visualize")},
}
_MODELS = tuple(
    f"plot_{name}"
    for name in (
        "calibration_curve", "class_proportions", "classifier", "clusterer", "confusion_matrix", "elbow_curve",
        "feature_importances", "learning_curve", "outlier_candidates", "precision_recall", "regressor", "residuals",
        "roc", "silhouette", "summary_metrics",
    )
)  # fmt: skip

_FRAMEWORKS = {
    "catboost": ("WandbCallback", "log_summary"),
    "keras": ("WandbEvalCallback", "WandbMetricsLogger", "WandbModelCheckpoint"),
    "lightgbm": ("log_summary", "wandb_callback"),
    "sb3": ("WandbCallback",),
    "xgboost": ("WandbCallback", "wandb_callback"),
}


def _of(home: str, *names: str) -> dict[str, str]:
    """The names and where each is, `home.name`. A name may be `theirs=ours`."""
    pairs = [name.partition("=") for name in names]
    return {theirs: f"{home}.{ours or theirs}" for theirs, _, ours in pairs}


MODULES: dict[str, dict[str, str]] = {
    "": _of("artstore.api.accepted", "_teardown=teardown", "api=old_api", "ensure_configured")
    | _of("artstore.api.session", "_attach=attach")
    | _of("artstore.api.values", "Config=Values"),
    "apis": _of("artstore.errors", "CommError") | _of("artstore.api.query", "Api", "PublicApi=Api"),
    "apis.public": _of("artstore.api.query", "Api")
    | _of("artstore.api.runs", "ConsoleLogLine=ConsoleLine", "Run=RunRecord")
    | _of("artstore.api.runfiles", "File", "Files")
    | _of("artstore.api.listing", *(f"{name}=Listing" for name in ("ArtifactTypes", "Projects", "Runs")))
    | _of("artstore.api.listing", "Artifacts", "RunArtifacts=Artifacts")
    | _of("artstore.api.entries", "ArtifactFiles=Files")
    | _of(
        "artstore.api.collections",
        *("ArtifactCollection", "ArtifactType", "Project"),
        *("ArtifactCollections=Collections", "ProjectArtifactCollections=Collections"),
    )
    | _of("artstore.api.registries", "Registries", "Registry"),
    "cli": {},
    "cli.cli": _of("artstore.adapters.wandb_names.command", "cli"),
    "data_types": _of("artstore", *_MEDIA, "box3d") | _of(_VALUES, "BatchableMedia=Media", "Media", "WBValue"),
    "env": {},
    "errors": {},
    "errors.errors": _of("artstore.errors", *_ERRORS),
    "errors.term": _of(_TERMINAL, *_TERM),
    "integration": {},
    **{
        f"{above}{framework}": _of(f"artstore.adapters.frameworks.{framework}", *names)
        for framework, names in _FRAMEWORKS.items()
        for above in ("", "integration.")
    },
    "plot": _PLOTS,
    "plot.custom_chart": _of(_CHARTS, "CustomChart", "CustomChartSpec", "plot_table"),
    "plot.viz": _of(_CHARTS, "Visualize", "VisualizeSpec", "visualize"),
    **{f"{above}sklearn": _of("artstore.api.plots.models", *_MODELS) for above in ("", "integration.")},
    "sdk": _of(
        "artstore",
        *("Artifact", "AlertLevel", "Settings", "controller", "finish", "init", "login", "require", "setup", "sweep"),
        *("teardown", "_attach=attach", "_unwatch=unwatch", "_watch=watch"),
    )
    | _of("artstore.api.values", "Config=Values", "Summary=Values"),
    "sdk.artifacts": {},
    "sdk.artifacts.artifact": _of("artstore", "Artifact"),
    "sdk.artifacts.artifact_manifest": _of("artstore.api.manifest", "ArtifactManifest=Manifest"),
    "sdk.artifacts.artifact_manifest_entry": _of("artstore.api.described_entry", "ArtifactManifestEntry"),
    "sdk.artifacts.artifact_state": _of(_DIGESTS, "ArtifactState"),
    "sdk.artifacts.artifact_ttl": _of("artstore", "ArtifactTTL"),
    "sdk.artifacts.exceptions": _of(
        "artstore.errors", "ArtifactFinalizedError", "ArtifactNotLoggedError", "ArtifactStatusError"
    )
    | _of(_LIBRARY, "WaitTimeoutError"),
    "sdk.data_types": {},
    "sdk.data_types.audio": _of("artstore", "Audio"),
    "sdk.data_types.base_types": {},
    "sdk.data_types.base_types.media": _of(_VALUES, "BatchableMedia=Media", "Media"),
    "sdk.data_types.base_types.wb_value": _of(_VALUES, "WBValue"),
    "sdk.data_types.bokeh": _of("artstore", "Bokeh"),
    "sdk.data_types.eval_table": _of("artstore", "EvalTable"),
    "sdk.data_types.helper_types": {},
    "sdk.data_types.helper_types.bounding_boxes_2d": _of("artstore", "BoundingBoxes2D"),
    "sdk.data_types.helper_types.classes": _of("artstore", "Classes"),
    "sdk.data_types.helper_types.image_mask": _of("artstore", "ImageMask"),
    "sdk.data_types.histogram": _of("artstore", "Histogram"),
    "sdk.data_types.html": _of("artstore", "Html"),
    "sdk.data_types.image": _of("artstore", "Image"),
    "sdk.data_types.molecule": _of("artstore", "Molecule"),
    "sdk.data_types.object_3d": _of("artstore", "Object3D"),
    "sdk.data_types.plotly": _of("artstore", "Plotly"),
    "sdk.data_types.table": _of("artstore", "JoinedTable", "PartitionedTable", "Table"),
    "sdk.data_types.video": _of("artstore", "Video"),
    "sdk.lib": _of(_LIBRARY, "RunDisabled"),
    **{f"sdk.lib.{module}": _of(_LIBRARY, *names) for module, names in _LIB.items()},
    "sdk.lib.hashutil": _of(_DIGESTS, "b64_to_hex_id", "hex_to_b64_id", "md5_file_b64", "md5_file_hex", "md5_string"),
    "sdk.lib.ipython": _of(_TERMINAL, "in_jupyter=in_notebook", "in_notebook"),
    "sdk.lib.config_util": _of("artstore.errors", "ConfigError=Conflict") | _of(_LIBRARY, "merge_dicts"),
    "sdk.wandb_alerts": _of("artstore", "AlertLevel"),
    "sdk.wandb_config": _of("artstore.api.values", "Config=Values", "ConfigStatic=Values"),
    "sdk.wandb_init": _of("artstore", "init"),
    "sdk.wandb_login": _of("artstore", "login"),
    "sdk.wandb_metric": _of("artstore.api.metric", "Metric=DefinedMetric"),
    "sdk.wandb_require": _of("artstore", "require"),
    "sdk.wandb_run": _of("artstore", "Run", "AlertLevel", "finish", "restore"),
    "sdk.wandb_settings": _of("artstore", "Settings"),
    "sdk.wandb_setup": _of("artstore", "setup", "teardown"),
    "sdk.wandb_summary": _of("artstore.api.values", "Summary=Values"),
    "util": _of(
        "artstore.adapters.wandb_names.hooks", "add_import_hook", "get_module", "get_optional_module=get_module"
    )
    | _of(_LIBRARY, *_UTIL)
    | _of(_KINDS, *_TOLD)
    | _of("artstore.errors", "UsageError", "WandbCoreNotAvailableError"),
    "wandb_run": _of("artstore", "Run"),
}
"""The names of each module, by its path below `wandb`, and the home of each."""
ALL = {"": "artstore", "errors": "artstore.errors", "env": "artstore.adapters.wandb_names.env"}
"""Modules that hand through all names of one of ours."""
ABSENT = {
    "agents": "there are no sweeps",
    "apis.importers": "`artstore import` imports from MLflow and W&B",
    **dict.fromkeys(
        (f"apis.public.{name}" for name in ("Member", "Organization", "Team", "User")), "there are no accounts"
    ),
    **dict.fromkeys((f"apis.public.{name}" for name in ("Job", "QueuedRun", "RunQueue")), "it starts no jobs"),
    **dict.fromkeys((f"apis.public.{name}" for name in ("BetaReport", "Reports")), "there are no reports"),
    **dict.fromkeys((f"apis.public.{name}" for name in ("Sweep", "Sweeps")), "there are no sweeps"),
    "apis.normalize": "there is no server whose errors it would translate",
    "apis.reports": "there are no reports",
    "apis.workspaces": "there are no saved views of pages",
    "data_types._dtypes": "the types of columns are Python's, and those of get_type()",
    "data_types.Graph": "it draws no graphs of models",
    "data_types.Node": "it draws no graphs of models",
    "data_types.WBTraceTree": "traces of language models aren't kept",
    "docker": "it starts no containers",
    "sdk.data_types.graph": "it draws no graphs of models",
    "sdk.data_types.saved_model": "log_model() keeps a model's files",
    "sdk.data_types.trace_tree": "traces of language models aren't kept",
    "sdk.artifacts._validators": "names are checked where they are given",
    "sdk.data_types._dtypes": "the types of columns are Python's, and those of get_type()",
    "sdk.lib.run_moment": "a run begins without steps of another one",
    "sdk.launch": "it starts no jobs",
    "sdk.sweeps": "there are no sweeps",
    "sdk.wandb_sweep": "there are no sweeps",
    "trigger": "no hooks of W&B's run here",
    "wandb_agent": "there are no sweeps",
}
"""Why artstore lacks a module and all below it."""
