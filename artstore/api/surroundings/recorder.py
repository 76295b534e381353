"""The recorder of a run's surroundings: what is written when the run begins, and what runs until it ends."""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from artstore.api.recording import Recording
from artstore.api.settings import Settings
from artstore.api.surroundings.console import LOG, Console, standard_streams
from artstore.api.surroundings.machine import metadata, requirements
from artstore.api.surroundings.samples import EVENTS, Sampler, can_sample
from artstore.backends.callers import warn_caller
from artstore.backends.git import Code, diff_of
from artstore.domain.redaction import Mask
from artstore.errors import ArtstoreError
from artstore.store.variables import secret_values


class Surroundings:
    """What is recorded of a run's surroundings, as its settings say."""

    def __init__(self, run: Recording, settings: Settings, code: Code) -> None:
        """Write what is known at the start, and begin to listen and measure."""
        self._console: Console | None = None
        self._sampler: Sampler | None = None
        mask = Mask(secret_values())
        try:
            for path, content in _files(run, settings, code, mask):
                run.add_file(path, content)
        except (OSError, ArtstoreError) as error:
            warn_caller(f"the surroundings of run {run.path} aren't recorded: {error}")
        self._begin_console = partial(Console, lambda: run.growing_file(LOG), mask)
        if settings.console != "off":
            self._console = self._begin_console(standard_streams())
        if not settings.x_disable_stats and can_sample():
            flush = self._console.flush if self._console is not None else lambda: None
            self._sampler = Sampler(lambda: run.growing_file(EVENTS), settings.x_stats_sampling_interval, flush)

    def write(self, text: str) -> None:
        """Add text to the console output, which may be all that is recorded of it."""
        if self._console is None:
            self._console = self._begin_console([])
        self._console.capture(0, text)

    def stop(self) -> None:
        """Stop listening and measuring; all is written when this returns."""
        if self._sampler is not None:
            self._sampler.stop()
        if self._console is not None:
            self._console.stop()


def _files(run: Recording, settings: Settings, code: Code, mask: Mask) -> Iterator[tuple[str, bytes | str]]:
    """The files that are written at the start: their paths, and their content or the path of a local file."""
    if settings.save_code and not settings.disable_code and (program := _program_file()):
        yield f"code/{os.path.basename(program)}", program
    if settings.x_disable_meta:
        return
    if not settings.x_disable_machine_info:
        yield "wandb-metadata.json", json.dumps(metadata(code, host=run.host, mask=mask), indent=2).encode()
    if settings.x_save_requirements:
        yield "requirements.txt", requirements().encode()
    if not settings.disable_git and (diff := diff_of(code)):
        yield "diff.patch", mask(diff.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _program_file() -> str | None:
    """The script that runs; None for an interactive interpreter."""
    path: Any = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(path) if path and os.path.isfile(path) else None
