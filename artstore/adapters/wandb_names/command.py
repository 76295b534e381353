"""What `python -m wandb` and the command `wandb` do where artstore has the name wandb: they say what they are."""

import sys

HARMLESS = ("disabled", "enabled", "init", "login", "offline", "online", "status", "sync", "verify")
"""Commands that prepare or end what a script does: it goes on without them."""


def cli() -> int:
    """Say what this is, and return the exit code: 0 for commands that a script goes on without, else 1."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    verb = words[0] if words else ""
    needed = verb and verb not in HARMLESS
    what = (
        f"`wandb {verb}` did nothing"
        if verb in HARMLESS
        else f"`wandb {verb}` is not here"
        if verb
        else "a name for it"
    )
    if not verb.isidentifier():
        what = "there is nothing to call"
    print(f"wandb is artstore here: {what}; `artstore --help` lists the commands that are", file=sys.stderr)
    return 1 if needed else 0
