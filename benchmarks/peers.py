"""The peers: other tools doing the same work, each as a few shell lines."""

from __future__ import annotations

from dataclasses import dataclass, field

OPERATIONS = ("save", "re-save", "save v2", "restore", "restore again")


@dataclass(frozen=True)
class Peer:
    """A tool's lines, run in a folder that holds the workload as `data`; `$NEW` is a folder that does not exist yet.

    `prepare` and `prepare_restore` are not timed; `version` prints what was measured. A line left empty is something that
    the tool does not do. `venv` is the folder of its own that peers.sh installs it into, if it does. `syncs` means that
    the data is on the disk when a save ends.
    """

    name: str
    save: str
    save_again: str = ""
    save_next: str = ""
    restore: str = ""
    restore_again: str = ""
    prepare: str = "true"
    prepare_restore: str = "true"
    version: str = ""
    venv: str = ""
    syncs: bool = False
    env: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> dict[str, str]:
        """What it does, by operation."""
        lines = (self.save, self.save_again, self.save_next, self.restore, self.restore_again)
        return {operation: line for operation, line in zip(OPERATIONS, lines, strict=True) if line}


def _python(code: str) -> str:
    return f"python -c '{code}'"


def _installed(package: str) -> str:
    return _python(f'from importlib.metadata import version; print(version("{package}"))')


CP = Peer(
    "cp -r",
    version="cp --version",
    save="cp -r data copy",
    save_next="cp -r data copy2",
    restore='cp -r copy2 "$NEW"',
)
RSYNC = Peer(
    "rsync -a",
    version="rsync --version",
    save="rsync -a data/ copy/",
    save_again="rsync -a data/ copy/",
    save_next="rsync -a --delete data/ copy/",
    restore='rsync -a copy/ "$NEW/"',
    restore_again='rsync -a copy/ "$NEW/"',
)

GIT_SETUP = (
    "git init -q . && git config user.name bench && git config user.email bench@example.org"
    " && git config core.compression 0 && git config core.looseCompression 0"
    " && git config gc.auto 0 && git config maintenance.auto false"
)
GIT = Peer(
    "git",
    version="git --version",
    prepare=GIT_SETUP,
    save="git add -A data && git commit -qm save",
    save_again="git add -A data && git diff --cached --quiet",
    save_next="git add -A data && git commit -qm save",
    restore='git worktree add -q --detach "$NEW"',
    restore_again='git -C "$NEW" checkout -qf HEAD',
    env={"GIT_CONFIG_NOSYSTEM": "1"},
)
GIT_FSYNC = Peer(
    "git, core.fsync=all",
    prepare=f"{GIT_SETUP} && git config core.fsync all",
    save=GIT.save,
    save_again=GIT.save_again,
    save_next=GIT.save_next,
    restore=GIT.restore,
    restore_again=GIT.restore_again,
    syncs=True,
    env=GIT.env,
)
GIT_ANNEX = Peer(
    "git-annex",
    version="git annex version",
    prepare=f"{GIT_SETUP} && git annex init -q bench && git config annex.addunlocked true",
    save="git annex add -q data && git commit -qam save",
    save_again="git annex add -q data && git diff --quiet HEAD",
    save_next="git annex add -q data && git commit -qam save",
    restore=GIT.restore,
    restore_again=GIT.restore_again,
    env=GIT.env,
)

DVC = Peer(
    "dvc",
    version="dvc --version",
    venv="dvc",
    prepare=(
        "dvc init -q --no-scm && dvc config core.analytics false && dvc config core.check_update false"
        " && dvc config cache.type copy"
        ' && dvc config cache.dir "$PWD/cache" && dvc config core.site_cache_dir "$PWD/site"'
    ),
    save="dvc add -q data",
    save_again="dvc add -q data",
    save_next="dvc add -q data",
    prepare_restore='mkdir -p "$NEW/.dvc" && cp .dvc/config "$NEW/.dvc/" && cp data.dvc "$NEW/"',
    restore='cd "$NEW" && dvc checkout -q',
    restore_again='cd "$NEW" && dvc checkout -q',
    env={"DVC_NO_ANALYTICS": "1"},
)
_OXEN_SAVE = _python('from oxen import Repo; repo = Repo("."); repo.add("data"); repo.commit("save")')
_OXEN_RESTORE = 'cd "$NEW" && ' + _python('from oxen import Repo; Repo(".").restore("data")')
OXEN = Peer(
    "oxen",
    version=_installed("oxenai"),
    venv="oxen",
    prepare=_python(
        "from oxen import Repo; from oxen.user import config_user;"
        ' config_user("bench", "bench@example.org"); Repo(".").init()'
    ),
    save=_OXEN_SAVE,
    save_again=_python('from oxen import Repo; Repo(".").add("data")'),
    save_next=_OXEN_SAVE,
    prepare_restore='mkdir "$NEW" && ln -s "$PWD/.oxen" "$NEW/.oxen"',
    restore=_OXEN_RESTORE,
    restore_again=_OXEN_RESTORE,
    syncs=True,
)

RESTIC = Peer(
    "restic",
    version="restic version",
    prepare="restic init -q -r repo",
    save="restic -r repo -q --compression off backup data",
    save_again="restic -r repo -q --compression off backup data",
    save_next="restic -r repo -q --compression off backup data",
    restore='restic -r repo -q restore latest --target "$NEW"',
    restore_again='restic -r repo -q restore latest --target "$NEW"',
    syncs=True,
    env={"RESTIC_PASSWORD": "bench"},
)
BORG = Peer(
    "borg",
    version="borg --version",
    prepare="borg init -e none repo",
    save="borg create -C none repo::v0 data",
    save_again="borg create -C none repo::v0-again data",
    save_next="borg create -C none repo::v1 data",
    prepare_restore='mkdir "$NEW"',
    restore='cd "$NEW" && borg extract "$OLDPWD/repo::v1"',
    restore_again='cd "$NEW" && borg extract "$OLDPWD/repo::v1"',
    syncs=True,
)

_TRACKIO_SAVE = _python(
    'import trackio; trackio.init(project="bench");'
    ' trackio.log_artifact("data", name="bench", type="dataset"); trackio.finish()'
)
_TRACKIO_RESTORE = (
    _python(
        'import sys, trackio; trackio.init(project="bench");'
        ' trackio.use_artifact("bench:latest").download(sys.argv[1]); trackio.finish()'
    )
    + ' "$NEW"'
)
TRACKIO = Peer(
    "trackio",
    version=_installed("trackio"),
    venv="trackio",
    save=_TRACKIO_SAVE,
    save_again=_TRACKIO_SAVE,
    save_next=_TRACKIO_SAVE,
    restore=_TRACKIO_RESTORE,
    restore_again=_TRACKIO_RESTORE,
    env={"TRACKIO_DIR": "tracked", "DO_NOT_TRACK": "1"},
)
_WANDB_SAVE = _python(
    'import wandb; run = wandb.init(project="bench", mode="offline");'
    ' run.log_artifact("data", name="bench", type="dataset"); run.finish()'
)
WANDB = Peer(
    "wandb, offline",
    version="wandb --version",
    venv="wandb",
    save=_WANDB_SAVE,
    save_again=_WANDB_SAVE,
    save_next=_WANDB_SAVE,
    env={"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
)
_WANDB_DIGEST = _python(
    'import wandb; artifact = wandb.Artifact("bench", "dataset"); artifact.add_dir("data"); artifact.digest'
)
WANDB_DIGEST = Peer(
    "wandb, add_dir + digest",
    venv="wandb",
    save=_WANDB_DIGEST,
    save_again=_WANDB_DIGEST,
    save_next=_WANDB_DIGEST,
    env=WANDB.env,
)
_MLFLOW_SAVE = _python('import mlflow; mlflow.log_artifacts("data")')
_MLFLOW_RESTORE = (
    _python(
        "import sys, mlflow;"
        ' run = mlflow.search_runs(order_by=["start_time DESC"], max_results=1, output_format="list")[0];'
        " mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=sys.argv[1])"
    )
    + ' "$NEW"'
)
MLFLOW = Peer(
    "mlflow",
    version="mlflow --version",
    venv="mlflow",
    save=_MLFLOW_SAVE,
    save_again=_MLFLOW_SAVE,
    save_next=_MLFLOW_SAVE,
    restore=_MLFLOW_RESTORE,
    restore_again=_MLFLOW_RESTORE,
    env={"MLFLOW_TRACKING_URI": "mlruns", "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
)

ARTSTORE = Peer(
    "artstore",
    version="artstore --version",
    save="artstore put data --name bench",
    save_again="artstore put data --name bench",
    save_next="artstore put data --name bench",
    restore='artstore get bench:latest --root "$NEW"',
    restore_again='artstore get bench:latest --root "$NEW"',
    syncs=True,
)
PEERS = (
    *(CP, RSYNC, GIT, GIT_FSYNC, GIT_ANNEX, DVC, OXEN, RESTIC, BORG),
    *(TRACKIO, WANDB, WANDB_DIGEST, MLFLOW, ARTSTORE),
)
