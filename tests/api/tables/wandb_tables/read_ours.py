"""Read ``.table.json`` files with the real wandb: ``python read_ours.py FILE...``.

Each file is loaded with ``wandb.Table.from_json`` (as ``artifact.get`` does) and
one JSON line is printed per file::

    {"file": ..., "ok": true, "columns": [...], "data": [[...]], "column_types": {...}}

or ``{"file": ..., "ok": false, "error": "Class: text"}``.  Values that JSON
lacks are shown as one-key objects: ``{"$datetime": iso}``, ``{"$date": iso}``,
``{"$ndarray": [dtype, list]}``, ``{"$float": "nan" | "inf" | "-inf"}``,
``{"$repr": ...}``.  A file stored beside the table (``media/serialized_data/*.npz``)
is looked for in the folder of the table, or in ``--root DIR``.
The exit status is 1 when a file could not be read.
"""

import argparse
import datetime as dt
import json
import math
import os
import sys

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import numpy as np
import wandb


class _Entry:
    def __init__(self, path):
        self._path = path

    def download(self):
        return self._path


class Source:
    """The part of an artifact that Table.from_json asks for."""

    def __init__(self, root):
        self.root = root
        self.aliases = ["latest"]
        self.manifest = self
        self.entries = {}

    def get_entry(self, name):
        path = os.path.join(self.root, *name.split("/"))
        if not os.path.exists(path):
            raise KeyError(f"Path not contained in artifact: {name}")
        return _Entry(path)

    def get(self, name):
        with open(self.get_entry(name).download(), encoding="utf-8") as file:
            return wandb.Table.from_json(json.load(file), self)


def plain(value):
    if isinstance(value, np.ndarray):
        return {"$ndarray": [str(value.dtype), plain(value.tolist())]}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dt.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"$date": value.isoformat()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return {"$repr": repr(value)}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--root", help="root folder of the artifact")
    args = parser.parse_args(argv)
    bad = 0
    for name in args.files:
        line = {"file": name}
        try:
            with open(name, encoding="utf-8") as file:
                json_obj = json.load(file)
            root = args.root or os.path.dirname(os.path.abspath(name))
            source = Source(root)
            base = os.path.relpath(os.path.abspath(name), root).replace(os.sep, "/")
            source.entries[base] = _Entry(os.path.abspath(name))
            table = wandb.Table.from_json(json_obj, source_artifact=source)
            line.update(
                ok=True,
                columns=plain(table.columns),
                data=plain(table.data),
                column_types=json_obj.get("column_types"),
            )
        except Exception as error:
            bad = 1
            line.update(ok=False, error=f"{type(error).__name__}: {error}")
        print(json.dumps(line))
    return bad


if __name__ == "__main__":
    sys.exit(main())
