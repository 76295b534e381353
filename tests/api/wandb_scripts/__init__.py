"""Scripts of our own after W&B's public guides and examples, a folder for each topic: the same calls in the same order,
with small data, and only the import changed. What each docstring says of its end is checked, and is the table in
docs/wandb-scripts.md.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_KEYS = ("After", "Needs", "Can't", "Warns")


@dataclass(frozen=True)
class Script:
    """A script, and how it ends."""

    path: Path
    title: str
    after: str
    """The guide or example that it follows."""
    needs: list[str]
    """The packages without which it isn't tried."""
    refusal: str | None
    """The sentence with which it ends, if it can't run."""
    warnings: list[str]
    """What artstore warns of while it runs."""

    @property
    def topic(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return f"{self.topic}/{self.path.stem}"


def _read(path: Path) -> Script:
    """A script. Its docstring is a title, and lines such as `After: …`, of which one says how it ends."""
    title, _, *lines = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
    found: dict[str, list[str]] = {key: [] for key in _KEYS}
    for line in lines:
        if line != "Runs.":
            key, _, text = line.partition(": ")
            found[key].append(text)
    assert len(found["After"]) == 1 and ("Runs." in lines) != bool(found["Can't"]), path
    needs = [name for names in found["Needs"] for name in names.split(", ")]
    return Script(path, title, found["After"][0], needs, next(iter(found["Can't"]), None), found["Warns"])


SCRIPTS = [_read(path) for path in sorted(FOLDER.glob("*/*.py"))]
