"""Progress of what a script asks for, unless its settings say that nothing is to be printed."""

from collections.abc import Iterator
from contextlib import contextmanager

from artstore.api.progress.bar import Bar
from artstore.api.recording import session
from artstore.api.settings import for_run
from artstore.errors import InvalidValue


def _is_wanted() -> bool:
    """Whether the settings of the active run, or those for the next one, let something be printed."""
    run = session.run
    try:
        settings = for_run(None, {}) if run is None else run.settings
    except InvalidValue:  # a variable holds a wrong value, which the next `init` reports
        return True
    return not (settings.silent or settings.quiet or (run is not None and run.disabled))


def bar_of_script() -> Bar:
    """A bar for what a script does, which may be opened again and again."""
    return Bar("artstore: ", _is_wanted)


@contextmanager
def shown(doing: str, done: str, what: str, bar: Bar | None = None) -> Iterator[Bar]:
    """Show the progress of a block, such as `saving data`, and at its end that it is done: `saved data: 2.0 GiB in …`."""
    with bar or bar_of_script() as bar:
        bar.start(f"{doing} {what}")
        bar.done = f"{done} {what}"
        yield bar
