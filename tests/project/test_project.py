"""A whole project runs twice: data to a model in production, with its lineage and an automation."""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from tests.support.checks import check
from tests.support.commands import Cli, environment

SCRIPT = Path(__file__).parents[1] / "support/project.py"
FIRST = """\
collected raw:v0 ['a.csv', 'b.csv']
prepared flowers:v0 {'rows': 40}
trained classifier:v0 {'min': 0.0} 1
evaluated classifier:v0 with flowers:v0 1.00
in production: flowers:v0 is classifier:v0
['collect', 'prepare', 'train', 'evaluate']
2.9 {'error': 0.0}
"""
SECOND = """\
collected raw:v1 ['a.csv', 'b.csv', 'c.csv']
prepared flowers:v1 {'rows': 60}
trained classifier:v1 {'min': 0.0} 1
evaluated classifier:v1 with flowers:v1 1.00
in production: flowers:v1 is classifier:v1
['collect', 'prepare', 'train', 'evaluate', 'collect', 'prepare', 'train', 'evaluate']
3.5 {'error': 0.0}
"""
TREE = """\
flowers/report:v1  evaluation, SIZE, latest
└─ made by run RUN  finished, evaluate
   ├─ which used flowers/classifier:v1  model, 3 B, latest
   │  └─ made by run RUN  finished, train
   │     └─ which used flowers/flowers:v1  dataset, 690 B, latest
   │        └─ made by run RUN  finished, prepare
   │           └─ which used flowers/raw:v1  raw, 630 B, latest
   │              └─ made by run RUN  finished, collect
   └─ which used flowers/flowers:v1  dataset, 690 B, latest (above)
"""


def flowers(folder: Path, name: str, short: float, long: float) -> None:
    """Twenty flowers: ten of each kind, those of one kind shorter than those of the other."""
    folder.mkdir(exist_ok=True)
    lines = [
        f"{length + i / 100:.2f},{kind}\n" for i in range(10) for length, kind in ((short, "daisy"), (long, "iris"))
    ]
    (folder / name).write_text("".join(lines))


def run(tmp_path: Path, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), "../raw"],
        cwd=tmp_path / "work", env=environment(tmp_path, WANDB_SILENT="true", **more), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def fired(folder: Path, count: int) -> list[Any]:
    """What the automation's command was told, once so many were set off."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [
            json.loads(path.read_text()) for path in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        ]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} events were awaited, these came: {found}")


def anonymous(text: str) -> str:
    import re

    text = re.sub(r"run [a-z0-9]{8}", "run RUN", text)
    return re.sub(r"evaluation, [\d.]+ \w+", "evaluation, SIZE", text)


def test_a_whole_project_runs_twice_and_tells_where_everything_came_from(tmp_path: Path, process_cli: Cli) -> None:
    work, events = tmp_path / "work", tmp_path / "events"
    work.mkdir()
    events.mkdir()
    flowers(tmp_path / "raw", "a.csv", 1.0, 3.6)
    flowers(tmp_path / "raw", "b.csv", 2.8, 4.0)
    assert process_cli("init", cwd=work).code == 0
    deploy = tmp_path / "deploy.py"
    deploy.write_text(
        "import os, sys, pathlib\n"
        "done = pathlib.Path(sys.argv[1], os.environ['ARTSTORE_EVENT_VERSION'])\n"
        "done.with_suffix('.part').write_text(sys.stdin.read())\n"
        "done.with_suffix('.part').rename(done.with_suffix('.json'))\n"
    )
    made = process_cli(
        "automation", "create", "deploy", "--on", "alias-added", "--scope", "registry-models/flowers",
        "--where", "alias=prod", "--run", f"{sys.executable} {deploy} {events}", cwd=work,
    )  # fmt: skip
    assert made.code == 0, made

    assert run(tmp_path) == FIRST
    (first,) = fired(events, 1)
    assert (first["spec"], first["alias"]) == ("local/registry-models/flowers:v0", "prod")

    flowers(tmp_path / "raw", "c.csv", 3.4, 4.4)
    assert run(tmp_path) == SECOND
    assert [event["version"] for event in fired(events, 2)] == ["v0", "v1"]

    printed = process_cli("lineage", "flowers/report", "--up", cwd=work)
    assert (printed.code, anonymous(printed.out)) == (0, TREE)
    drawn = process_cli("lineage", "flowers/raw:v0", "--format", "svg", "-o", "lineage.svg", cwd=work)
    assert drawn.code == 0, drawn
    texts = {element.text for element in ElementTree.parse(work / "lineage.svg").iter() if element.tag.endswith("text")}
    assert {"flowers/raw:v0", "flowers/classifier:v0", "flowers/report:v0"} <= texts
    assert "flowers/raw:v1" not in texts

    answers = process_cli("cat", "flowers/report", "answers", "-n", "1", cwd=work)
    assert answers.out.splitlines()[0].split() == ["length", "kind", "said", "right"]
    log = process_cli("automation", "log", "--json", cwd=work)
    assert [line["outcome"] for line in json.loads(log.out)] == ["ok", "ok"]
    check(work / ".artifacts")
