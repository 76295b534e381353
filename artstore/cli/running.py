"""run: a command in which `import wandb` finds artstore."""

import os
import signal
import sys

import click

from artstore.domain.names import printable
from artstore.domain.wording import quoted
from artstore.errors import NotFound, Refused, storage_error
from artstore.store.settings import is_repository, root_to_create
from artstore.store.variables import environment_for_children, wants_a_server


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-y", "--yes", is_flag=True, help="Run it although WANDB_MODE is `online`.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(yes: bool, command: tuple[str, ...]) -> None:
    """Run a command in which `import wandb` finds artstore.

    It holds for the command and for all processes that it starts, also where a framework asks whether wandb is
    installed. Runs are recorded in the repository here, and nothing is sent to W&B. For example:
    `artstore run python train.py`, or `artstore run -- torchrun --nproc-per-node 2 train.py`.

    W&B and wandb are names of Weights & Biases; artstore is not affiliated with them.
    """
    import importlib.metadata

    from artstore.adapters.wandb_names.folder import folder_of_names
    from artstore.adapters.wandb_names.table import LOCAL

    if wants_a_server() and not yes:
        raise Refused(
            "WANDB_MODE=online asks for runs at W&B's server, but here they would be recorded in this folder only",
            hint="`artstore run --yes …` records them here; unset WANDB_MODE to be asked no more",
        )
    folder = folder_of_names()
    root = root_to_create()
    where = printable(root) if is_repository(root) else f"{printable(root)}, which the first run makes"
    try:
        installed = importlib.metadata.version("wandb")
    except importlib.metadata.PackageNotFoundError:
        installed = LOCAL
    other = "" if installed.endswith(LOCAL) else f"; wandb {installed}, which is installed, is not used"
    click.echo(f"wandb is artstore here: runs are recorded in {where}{other}", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and programs inherit that
    before = [signal.signal(number, signal.SIG_DFL) for number in ignored]
    try:
        os.execvpe(command[0], command, {**environment_for_children(folder), "ARTSTORE_DIR": root})
    except OSError as error:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)
        raise _not_started(command, error) from error


def _not_started(command: tuple[str, ...], error: OSError) -> Exception:
    """The error for a command that the operating system can't start."""
    program, words = command[0], " ".join(map(quoted, command))
    if program.endswith(".py") and os.path.isfile(program):
        return NotFound(f"{printable(program)} is not a program", hint=f"`artstore run python {words}`")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound(f"there is no command '{printable(program)}'", hint="is it installed, and on PATH?")
    if os.path.isfile(program) and isinstance(error, PermissionError):
        hint = f"`artstore run sh {words}` runs a shell script; `chmod +x` makes it a program"
        return NotFound(f"{printable(program)} is not a program", hint=hint)
    return storage_error(error, f"run {printable(program)}")
