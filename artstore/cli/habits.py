"""Words and options of other tools, and how to do here what they do there."""

from collections.abc import Collection

WORDS = {
    "add": "put create", "commit": "put", "save": "put create", "snapshot": "put", "track": "put", "upload": "put push",
    "up": "push put", "sync": "push pull", "publish": "push", "down": "pull get", "checkout": "get", "download": "get",
    "restore": "get", "use": "get", "create": "put", "new": "put create", "make": "init create",
    "del": "rm drop", "delete": "rm drop", "remove": "rm drop", "destroy": "rm drop", "erase": "rm drop", "rm": "drop",
    "clean": "gc", "cleanup": "gc", "purge": "gc prune", "copy": "cp", "move": "mv", "rename": "mv",
    "dir": "ls", "list": "ls", "show": "ls", "get-url": "ls", "history": "log", "versions": "log", "blame": "log",
    "info": "show", "describe": "show", "inspect": "show", "compare": "diff", "usage": "du", "df": "du",
    "server": "serve ui", "web": "ui", "dashboard": "ui", "archive": "export", "export": "create",
    "zip": "export create", "extract": "apply", "unpack": "apply", "load": "get apply", "import": "apply",
    "run": "test",
}  # fmt: skip
"""Words of git, DVC, W&B and shells, and our commands for them. A group suggests those that it has."""

_CHECK = "`artstore fsck` checks what is stored, `artstore verify NAME FOLDER` compares a folder with a version"
_OLDER = "`artstore get NAME:vN` restores an older version, `artstore alias NAME:vN ALIAS` moves an alias to it"
_MATCHING = "`artstore ls --where CONDITION` lists matching versions"
_HISTORY = "`artstore runs show RUN --history` prints a run's metrics step by step"
_REMOTES = "`artstore remote ls` shows where the remotes are"
_REMOTE = "`artstore remote rm OLD`, then `artstore remote add NEW URL`"
_CHANGES = "`artstore diff NAME` shows what changed since the version before"
_ONE_LINE = "`artstore log NAME` prints one line for each version"
_WHOLE = "`artstore rm --collection NAME` deletes an artifact with all its versions"
_FILES = "`artstore ls -r NAME` lists all files, hidden ones too"
_BUNDLE = "`artstore bundle apply FILE` imports it, every object checked"
_ALL = "`artstore push` without names sends everything, with aliases and tags"
_FORCED = "a push overwrites nothing; `artstore pull` first brings the changes of others"
_SETTINGS = "`artstore config` lists the settings"
_SWEEPS = (
    "artstore starts no runs: start the script once for each set of parameters; `artstore runs ls` compares the runs"
)
_NO_MODES = "runs are always recorded here, without a server; WANDB_MODE=disabled records nothing"
HINTS = {
    "version": "`artstore --version` shows it", "stash": "`artstore put FOLDER` saves the changes as a version",
    "validate": _CHECK, "check": _CHECK, "repair": "`artstore fsck --repair` stores lost objects again",
    "reset": "`artstore get NAME --root FOLDER --force` overwrites the changes in a folder",
    "revert": _OLDER, "rollback": _OLDER,
    "undo": "`artstore undelete NAME:vN` brings back a deleted version, `artstore get NAME:vN` restores an older one",
    "whoami": "`artstore log NAME` shows under which user's name versions were saved",
    "tree": "`artstore ls -r NAME` lists all files of a version", "find": _MATCHING, "search": _MATCHING, "grep": _MATCHING,
    "sweep": _SWEEPS, "agent": _SWEEPS, "launch": _SWEEPS, "controller": _SWEEPS,
    "online": _NO_MODES, "offline": _NO_MODES, "enabled": _NO_MODES, "disabled": _NO_MODES,
    "mount": "nothing is mounted: `artstore get NAME` restores the files, `artstore cat NAME PATH` prints one",
    "runs history": _HISTORY, "runs log": _HISTORY, "runs metrics": _HISTORY,
    "remote -v": _REMOTES, "remote --verbose": _REMOTES, "remote ls -v": "the list has the places already",
    "remote rename": _REMOTE, "remote mv": _REMOTE, "remote set-url": _REMOTE,
    "bundle ls": _BUNDLE, "bundle list": _BUNDLE, "bundle show": _BUNDLE, "bundle verify": _BUNDLE,
    "automation disable": "`artstore automation enable --off NAME` disables one",
    "gc --prune": "`artstore gc --now` frees the space at once; `artstore prune` deletes versions",
    "log -p": _CHANGES, "log --patch": _CHANGES, "log --stat": _CHANGES, "log --oneline": _ONE_LINE,
    "ls -l": "`artstore ls NAME` lists files with their sizes", "ls -a": _FILES,
    "rm -r": _WHOLE, "rm --recursive": _WHOLE, "rm -f": "did you mean --force?", "get -f": "did you mean --force?",
    "push --all": _ALL, "push -a": _ALL, "push --tags": _ALL, "push -f": _FORCED, "push --force": _FORCED,
    "pull --rebase": "`artstore pull` does so: your new versions get numbers behind those of the remote",
    "clone --depth": "`artstore clone --no-blobs URL` leaves the content of files for later",
    "put -m": "did you mean --description?", "put --message": "did you mean --description?",
    "config -l": _SETTINGS, "config --list": _SETTINGS,
}  # fmt: skip
"""What to do instead, by a word or option of another tool, behind the command that it was given to."""


def meant_by(word: str, group: str, commands: Collection[str], all_commands: Collection[str]) -> str | None:
    """A hint for a word that isn't one of a group's `commands`, or None. `group` is empty for `all_commands`."""
    from artstore.domain.wording import near

    ours = WORDS.get(word.lower(), "").split()
    if hint := HINTS.get(f"{group} {word.lower()}".lstrip()):
        return hint
    if here := [command for command in ours if command in commands]:
        return _did_you_mean(here)
    return near(word, commands) or _did_you_mean([f"artstore {command}" for command in all_commands if command == word])


def _did_you_mean(commands: list[str]) -> str | None:
    return f"did you mean {' or '.join(map(repr, commands))}?" if commands else None
