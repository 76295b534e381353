"""`resume="auto"`: a file beside the folders of runs names the run that a script goes on with after a crash."""

import json
import os
from contextlib import suppress

from artstore.backends.callers import warn_caller
from artstore.backends.files import replace_file
from artstore.backends.owner import this_process
from artstore.domain.names import printable
from artstore.errors import ArtstoreError
from artstore.operations.restoring.downloads import kept_out_of_git
from artstore.store.settings import run_folder


def resume_file(start: str | None) -> str:
    """The file, below the folder of `init(dir=…)`, of WANDB_DIR, or the working folder."""
    return os.path.join(os.path.dirname(os.path.abspath(run_folder("", start))), "resume.json")


def run_to_resume(start: str | None) -> str | None:
    """The id of the run that was started with `resume="auto"` and didn't end well; None if there is none."""
    path = resume_file(start)
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warn_caller(f"init(resume='auto') starts a new run: {printable(path)} can't be read: {error}")
        return None
    id = told.get("run_id") if isinstance(told, dict) else None
    return id if isinstance(id, str) else None


def note_run(start: str | None, id: str) -> None:
    """Note a run until it ends well. Warns if the file can't be written."""
    path = resume_file(start)
    try:
        with kept_out_of_git(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, json.dumps({"run_id": id}).encode(), f"{path}.{this_process()}", sync=False)
    except (OSError, ArtstoreError) as error:
        warn_caller(f"init(resume='auto') can't go on with this run later: {error}")


def forget_run(start: str | None, id: str) -> None:
    """Remove the note of a run that ended well."""
    if run_to_resume(start) == id:
        with suppress(OSError):
            os.remove(resume_file(start))
