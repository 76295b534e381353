"""Transcripts in `tests/cli/transcripts/`: commands and all that they print. Standard error is marked `! `, an exit code `[N]`; JSON is
shown an item a line. `UPDATE_TRANSCRIPTS=1 pytest tests/cli/test_cli.py` writes them anew, to be read before they are kept.
"""

import json
import os
import re
import shlex
from pathlib import Path

from tests.support.commands import Cli, Result
from tests.support.folders import make_tree

TRANSCRIPTS = Path(__file__).parents[1] / "cli/transcripts"

KINDS = {
    2: {"UsageError"}, 3: {"InvalidValue", "InvalidType"}, 4: {"NotFound", "NoEntry"}, 5: {"Conflict"}, 6: {"Refused"},
    7: {"Damage", "DamagedObject", "MissingObject", "DamagedLog"}, 8: {"SourceError"}, 9: {"StorageError"}, 10: {"UnsupportedFormat"},
}  # fmt: skip
"""Classes of errors by exit code."""

_CHANGING = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-01-01 00:00"),
    (r"\d{4}-\d\d-\d\dT[\d:]{8}", "2026-01-01T00:00:00"),
    (r"\.\d{6}Z", ".000000Z"),
    (r"(deleted on )[\d-]{10}", r"\g<1>2026-01-01"),
    (r'("id": "|^id +)[0-9a-f]{64}', r"\g<1>ID"),
    (r"[\d.]+ \w+ stored", "N stored"),
    (r'("(?:(?:new|log|pack|cache|stored)_)?bytes": )[1-9]\d*', r"\1N"),
    (r", [\d.]+ \w+ hashed", ", N hashed"),
]  # fmt: skip
"""What is another time, id or compressed size at each run."""


def plain(text: str, here: Path) -> str:
    """Without what changes from run to run."""
    text = text.replace(str(here), "~")
    for pattern, instead in _CHANGING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def sample(here: Path) -> Path:
    """A folder `src`: two levels, an executable file."""
    return make_tree(here / "src", {"a.csv": "1\n", "d/b.txt": "2\n", "run.sh*": "#!/bin/sh\n"})


def assert_played(cli: Cli, here: Path, name: str, *, errors_as_json: bool = False) -> None:
    """The transcript comes out the same when its commands are run anew. With `errors_as_json`, each command that fails is
    run with --json too, and says the same.
    """
    file = TRANSCRIPTS / f"{name}.txt"
    transcript, lines = file.read_text(), []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            lines += [line, *_played(cli, here, line[2:], errors_as_json)]
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        file.write_text(text)
    assert text == transcript


def _played(cli: Cli, here: Path, command: str, errors_as_json: bool) -> list[str]:
    given = _words(command)
    at = given.index("artstore")
    settings, words = dict(word.split("=", 1) for word in given[:at]), given[at + 1 :]
    result = cli(*words, cwd=here, **settings)
    if errors_as_json and result.code and words[0] not in ("cat", "completion"):
        _same_as_json(result, cli(*_with_json(words), cwd=here, **settings))
    return _shown(result, here, "--json" in words)


def _words(command: str) -> list[str]:
    """As a shell splits it; `\\xNN` stands for a character."""
    return [re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), word) for word in shlex.split(command)]


def _shown(result: Result, here: Path, is_json: bool) -> list[str]:
    out = result.out
    if is_json and out:
        value = json.loads(out)
        items = value if isinstance(value, list) else [value]
        out = "\n".join(json.dumps(item, ensure_ascii=False) for item in items) or "[]"
    errors = [f"! {line}" for line in plain(result.err, here).split("\n")[:-1]]
    return [*plain(out, here).splitlines(), *errors, *([f"[{result.code}]"] if result.code else [])]


def _with_json(words: list[str]) -> list[str]:
    at = words.index("--") if "--" in words else len(words)
    return [*words[:at], "--json", *words[at:]]


def _same_as_json(text: Result, as_json: Result) -> None:
    assert (as_json.code, as_json.err) == (text.code, ""), as_json
    ((key, error),) = json.loads(as_json.out).items()
    assert key == "error"
    problems = error.pop("problems", [])
    assert list(error) == ["kind", "message", "hint", "exit_code"]
    shown = [f"error: {error['message']}"]
    shown += [f"  {path}: {reason}" for path, reason in problems] if len(problems) > 1 else []
    shown += [f"hint: {error['hint']}"] if error["hint"] else []
    assert text.err.splitlines() == shown, "the same as text and as JSON"
    assert error["exit_code"] == text.code and error["kind"] in KINDS[text.code]
    assert_sentence(error["message"])


def assert_sentence(message: str) -> None:
    """One line, one sentence, begun as ours are; W&B's own two sentences keep their capital."""
    assert message.isprintable(), message
    assert not message.endswith(".") and not re.search(r"\. [A-Z]", message), f"more than a sentence: {message}"
    assert not message[0].isupper() or message.startswith(
        ("Artifact ", "Aliases must not contain", "Invalid tag(s): ", "Registry name ", "Invalid artifact path: ")
    ), message
