"""Hugging Face's libraries, unchanged: what they load from a served repository, and offline from `get --hf-cache`."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.roles import Role
from artstore.repository import Repository
from tests.adapters.frameworks.packages import python_of_frameworks
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree
from tests.support.served import Server, serving

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(900)]
SCRIPTS = Path(__file__).parent / "scripts"
ROWS = "text,label\nhello,1\nworld,0\n"
FILES = 1200
"""Files of the dataset beside its rows: more than a page of a list has."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A model with two versions, of which the first is in production, a dataset, and a project of others."""
    made = _run(tmp_path, "hub_make.py", str(tmp_path / "tiny"), HF_HUB_OFFLINE="1")
    assert made.returncode == 0, made.stderr[-3000:]
    (tmp_path / "made.json").write_text(made.stdout)
    make_tree(tmp_path / "rows", {"train.csv": ROWS} | {f"deep/{n}": f"{n}" for n in range(FILES)})
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.put(str(tmp_path / "tiny"), "nlp/tiny", type="model", aliases=("prod",))
        (tmp_path / "tiny/README.md").write_text("# The second version\n")
        repository.put(str(tmp_path / "tiny"), "nlp/tiny")
        repository.put(str(tmp_path / "rows"), "nlp/rows", type="dataset")
        repository.put(str(tmp_path / "rows"), "hidden/net")
    with serving(tmp_path) as server:
        yield server


def _run(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run one of the scripts, or a program beside the Python that has these libraries."""
    python = Path(python_of_frameworks())
    program = [python, SCRIPTS / words[0]] if words[0].endswith(".py") else [python.with_name(words[0])]
    env = environment(folder, OMP_NUM_THREADS="2", HF_HUB_DISABLE_TELEMETRY="1", **variables)
    command = [*map(str, program), *words[1:]]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=800)


def _loaded(folder: Path, **variables: str) -> dict[str, Any]:
    done = _run(folder, "hub_load.py", **variables)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _at(server: Server, token: str | None, home: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": server.url, "HF_TOKEN": token or "", "HF_HOME": str(home)}


def test_what_is_loaded_from_a_server_is_loaded_offline_from_the_cache(
    served: Server, cli: Cli, tmp_path: Path
) -> None:
    token = served.token("reader", Role.READER, "local/nlp").secret
    told = _loaded(tmp_path, **_at(served, token, tmp_path / "online"))
    made = json.loads((tmp_path / "made.json").read_text())
    assert all({name: told[of][name] for name in made} == made for of in ("latest", "prod"))
    assert told["latest"]["folder"] == sorted([*told["prod"]["folder"], "README.md"])
    assert told["data"] == told["rows"] == ROWS
    with Repository(str(served.root)) as repository:
        commits = [repository.find(f"nlp/tiny:{name}").id[:40] for name in ("latest", "prod")]
    assert (told["name"], told["ids"], told["commits"]) == ("reader", ["nlp/tiny", "nlp/rows"], commits)
    assert (told["files"], told["tree"]) == (FILES + 1, ["deep", "train.csv"])
    assert (told["there"], told["absent"], told["revisions"]) == ([True, True], [False] * 3, [True, False, False])
    assert told["tensors"] == 39 and told["listed"] == told["prod"]["folder"]
    assert told["loaded"] == {"text": ["hello", "world"], "label": [1, 0]}
    for spec in ("nlp/tiny", "nlp/tiny:prod", "nlp/rows"):
        assert cli("get", spec, "--hf-cache", HF_HOME=str(tmp_path / "offline")).code == 0
    offline = _loaded(tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "offline"))
    assert offline == {name: told[name] for name in ("latest", "prod", "data")}


def test_the_command_of_the_hub_downloads_for_readers_alone(served: Server, tmp_path: Path) -> None:
    tokens = {role: served.token(role, Role[role.upper()], "local/nlp").secret for role in ("reader", "viewer")}
    words = ("hf", "download", "nlp/tiny", "--revision", "prod", "--local-dir", "out")
    done = _run(tmp_path, *words, **_at(served, tokens["reader"], tmp_path / "hf"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "tiny/model.safetensors").read_bytes()
    for token, why in (
        (tokens["viewer"], "requires approval"),
        ("hf_" + "a" * 34, "the token is unknown"),
        ("", "401"),
    ):
        refused = _run(tmp_path, *words[:-1], "none", **_at(served, token, tmp_path / "hf"))
        assert refused.returncode != 0 and why in refused.stdout + refused.stderr, refused.stderr[-2000:]
        assert not (tmp_path / "none/model.safetensors").exists()
