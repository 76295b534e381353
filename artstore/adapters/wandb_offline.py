"""Importing from W&B: offline runs, and folders of downloaded artifacts."""

import json
import os
import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from artstore.adapters.confining import Source, add_checked, checked
from artstore.adapters.importing import MALFORMED, ForeignRun, Left, Recorder, Taken, alias_from, iso, recorder, saved
from artstore.backends.files import open_regular
from artstore.domain.charts import OWN
from artstore.domain.collection import Path
from artstore.domain.names import as_project, name_from, printable
from artstore.domain.properties import Properties
from artstore.domain.run import RunPath
from artstore.errors import Damage, NotFound
from artstore.repository import Repository
from artstore.store.metrics import MetricRow

_DOWNLOADED = re.compile(r"(.+)[:-]v(\d+)")
_BLOCK, _HEAD = 32 << 10, struct.Struct("<IHB")
_IDENT = b":W&B\xe1\xbe\0"
_LONGEST_FILE = 256 << 20
"""The most bytes of a run's file."""
_OWN = (
    "requirements.txt", "conda-environment.yaml", "config.yaml", "wandb-metadata.json", "wandb-summary.json",
    "output.log", "diff.patch",
)  # fmt: skip
"""Files that W&B itself saves beside those of users."""
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def import_wandb(repository: Repository, folder: str, project: str, type: str) -> Iterator[Taken | Left]:
    """Import offline runs and downloaded artifacts.

    `folder` is an offline run, or holds some (`wandb/`): these become runs with what they logged. Or it is a folder
    `name:v3`, or holds some (`artifacts/`): these become versions. Yields what was imported, and what was not. Raises
    NotFound if there is neither.
    """
    if not os.path.isdir(folder):
        raise NotFound(f"there is no folder {printable(folder)}")
    source = Source(folder)
    logs = sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.startswith("run-") and name.endswith(".wandb")
    )
    base = os.path.basename(os.path.abspath(folder))
    inside = [] if _DOWNLOADED.fullmatch(base) else [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    places = [place for place in inside or [folder] if os.path.isdir(place)]
    downloaded = [place for place in places if _DOWNLOADED.fullmatch(os.path.basename(os.path.abspath(place)))]
    if not logs and not downloaded:
        raise NotFound(
            f"there is no offline run and no downloaded artifact in {printable(folder)}",
            hint="name wandb/, artifacts/, or a folder in one",
        )
    record = _record_type() if logs else None
    for log in logs:
        try:
            yield from _run(repository, source, log, record)
        except MALFORMED as error:
            yield Left.of(log, error)
    for place in downloaded:
        try:
            yield _artifact(repository, source, place, project, type)
        except MALFORMED as error:
            yield Left.of(place, error)


def _artifact(repository: Repository, source: Source, folder: str, project: str, type: str) -> Taken:
    name, number = _DOWNLOADED.fullmatch(os.path.basename(os.path.abspath(folder))).groups()  # type: ignore[union-attr]
    path = Path(repository.settings.entity, project, name_from(name))
    with repository.draft() as draft:
        source.add_folder(draft, folder)
        about = Properties(metadata={"wandb": {"version": f"v{number}"}})
        saved = draft.save(path, type=type, reuse="any", properties=about)
    repository.automations.changes_made()
    return Taken("version", f"{path}:v{saved.number}", folder, saved.is_new)


# -- offline runs --


class _Read:
    """What has been read of a run's records."""

    def __init__(self) -> None:
        self.run: Any = None
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.rows: list[MetricRow] = []
        self.artifacts: list[Any] = []
        self.used: list[str] = []
        self.exit: Any = None
        self.others: dict[str, int] = {}

    def take(self, record: Any) -> None:
        """Add a record."""
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.run = record.run
            _set(self.config, record.run.config.update)
        elif kind == "config":
            _set(self.config, record.config.update)
        elif kind == "summary":
            _set(self.summary, record.summary.update)
        elif kind == "history":
            row: MetricRow = {}
            _set(row, record.history.item)
            row.setdefault("_step", record.history.step.num)
            self.rows.append(row)
        elif kind == "artifact":
            self.artifacts.append(record.artifact)
        elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
            self.artifacts.append(record.request.log_artifact.artifact)
        elif kind == "use_artifact":
            self.used.append(f"{record.use_artifact.name} ({record.use_artifact.type})")
        elif kind == "exit":
            self.exit = record.exit
        elif kind in ("alert", "tbrecord"):
            self.others[kind] = self.others.get(kind, 0) + 1


def _set(values: dict[str, Any], items: Any) -> None:
    """Apply the items of a record: each has a key or a path of keys, and a JSON value."""
    for item in items:
        keys = list(item.nested_key) or [item.key]
        inner = values
        for key in keys[:-1]:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[keys[-1]] = _value_of(item.value_json)


def _value_of(text: str) -> Any:
    """The value of a JSON text, or the text if it isn't JSON. Half a character, which a run can't hold, becomes `?`."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    whole = "\\ud" not in text.lower()
    return value if whole else json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _record_type() -> Any:
    """The class that reads records. Raises NotFound if wandb isn't installed."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # protobuf makes it at import
    except ImportError as error:
        message = "reading offline runs needs the package wandb, which is not installed here"
        raise NotFound(message, hint="`pip install wandb`") from error
    return Record


def _run(repository: Repository, source: Source, log: str, record_type: Any) -> Iterator[Taken | Left]:
    read = _Read()
    from google.protobuf.message import DecodeError

    with open(source.open(log), "rb") as file:
        for data in records(file.read(), printable(log)):
            record = record_type()
            try:
                record.ParseFromString(data)
            except DecodeError as error:
                raise Damage(f"{printable(log)} has a record that is not W&B's: {error}") from error
            read.take(record)
    if read.run is None or not read.run.run_id:
        raise Damage(f"{printable(log)} has no run")
    run = read.run
    read.config.pop(OWN, None)
    settings = repository.settings
    path = RunPath(run.entity or settings.entity, as_project(run.project or settings.project), run.run_id)
    found = recorder(repository, path, _told(read))
    if found is None:
        yield Taken("run", str(path), log, False)
        return
    found.log(read.rows)
    for artifact in read.artifacts:
        try:
            version = _logged(repository, path, artifact)
            found.edge("logged", repository.find(version.name))
            yield version
        except MALFORMED as error:
            yield Left.of(f"artifact {artifact.name} of run {run.run_id}", error)
    yield from _add_files(found, source, os.path.join(os.path.dirname(log), "files"))
    found.end()
    yield Taken("run", str(path), log, True)
    for name in read.used:
        yield Left(f"that run {run.run_id} used {name}", "only W&B's server knows its versions")
    for kind, count in read.others.items():
        yield Left(f"{kind} of run {run.run_id}", f"artstore doesn't store such records ({count:,})")


def _add_files(run: Recorder, source: Source, folder: str) -> Iterator[Left]:
    """Add the files of a run, such as media that it logged. What W&B wrote for itself is left out."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(set(names) - set(_OWN)):
            file = os.path.join(place, name)
            path = os.path.relpath(file, folder)
            try:
                with open(source.open(file), "rb") as opened:
                    data = opened.read(_LONGEST_FILE + 1)
                if len(data) > _LONGEST_FILE:
                    raise Damage(f"it has more than {_LONGEST_FILE >> 20} MiB: `artstore put` saves it")
                run.add_file(path, data)
            except MALFORMED as error:
                yield Left.of(f"file {printable(path)} of run {run.path.id}", error)


def _told(read: _Read) -> ForeignRun:
    run = read.run
    started = run.start_time.seconds + run.start_time.nanos / 1e9
    times = [float(row["_timestamp"]) for row in read.rows if isinstance(row.get("_timestamp"), int | float)]
    ended = max([started + (read.exit.runtime if read.exit is not None else 0), *times])
    commit = run.git.commit or None
    return ForeignRun(
        started=iso(started), ended=iso(ended), finished=read.exit is not None,
        exit_code=read.exit.exit_code if read.exit is not None else 0, name=run.display_name or None, user=None,
        host=run.host or None, job_type=run.job_type or None, group=run.run_group or None, notes=run.notes or None,
        tags=list(run.tags), config=read.config,
        summary={key: value for key, value in read.summary.items() if not key.startswith("_")},
        command=[], git={"commit": commit, "dirty": False} if commit else None,
    )  # fmt: skip


def _logged(repository: Repository, run: RunPath, artifact: Any) -> Taken:
    """Save a version that a run logged, from the files that W&B staged for its upload."""
    path = Path(run.entity, run.project, name_from(artifact.name))
    with repository.draft() as draft:
        for entry in artifact.manifest.contents:
            if entry.ref:
                raise NotFound(f"its entry {printable(entry.path)} is a reference to {printable(entry.ref)}")
            if not entry.local_path or not os.path.isfile(entry.local_path):
                raise NotFound(f"the file that W&B staged for its entry {printable(entry.path)} is gone")
            content = checked(open_regular(entry.local_path))
            # This also keeps a forged log from naming files that its maker has never seen.
            if b64encode(content.md5).decode() != entry.digest:
                raise Damage(f"the file that W&B staged for its entry {printable(entry.path)} differs from the log")
            add_checked(draft, entry.local_path, entry.path, content.digest)
            draft.extra(entry.path).update((item.key, _value_of(item.value_json)) for item in entry.extra)
        metadata = json.loads(artifact.metadata) if artifact.metadata else {}
        properties = Properties(description=artifact.description or None, metadata=metadata)
        aliases = (alias_from(alias) for alias in artifact.aliases if alias != "latest")
        done = saved(
            repository, draft, path, {"wandb": {"run": str(run)}}, type=artifact.type or None, aliases=aliases,
            run=str(run), properties=properties,
        )  # fmt: skip
    return Taken("version", f"{path}:v{done.number}", f"artifact {artifact.name}", done.is_new)


def records(data: bytes, what: str) -> Iterator[bytes]:
    """The records of a `.wandb` file. A last record that was cut off is skipped. Raises Damage.

    The file is LevelDB's log format (doc/log_format.md there), after seven bytes of W&B's.
    """
    if data[: len(_IDENT)] != _IDENT:
        raise Damage(f"{what} is not a log of W&B's, or has a newer format")
    at, parts = len(_IDENT), list[bytes]()
    while True:
        if (left := _BLOCK - at % _BLOCK) < _HEAD.size:
            at += left
        if at + _HEAD.size > len(data):
            return
        checksum, length, kind = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        piece = data[at : at + length]
        if len(piece) < length:
            return
        at += length
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            raise Damage(f"{what} is damaged at byte {at - length}")
        parts = [*parts, piece] if kind in (_MIDDLE, _LAST) else [piece]
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
