"""To which artifact a save goes if no name says it, and the hint if another one may be meant."""

import json
from pathlib import Path

import pytest

from tests.support.commands import Cli
from tests.support.folders import make_tree


@pytest.fixture
def saved(tmp_path: Path, cli: Cli) -> Path:
    make_tree(tmp_path / "src", {"f": "1"})
    for name in ("data", "vision/images"):
        assert cli("put", "src", "--name", name).code == 0
    return tmp_path


def test_a_downloaded_folder_is_saved_to_the_artifact_that_it_came_from(saved: Path, cli: Cli) -> None:
    for spec, folder in (("data:v0", "data-v0"), ("vision/images:v0", "images-v0")):
        assert cli("get", spec).code == 0
        make_tree(saved / "artifacts" / folder, {"new": spec})
        name = spec.partition(":")[0]
        assert f"would save {name}:v1" in cli("put", f"artifacts/{folder}", "--dry-run").out
        told = cli("put", f"artifacts/{folder}")
        assert told.code == 0 and told.out.startswith(f"saved {name}:v1: 2 files"), told
        assert "hint" not in told.err
    assert [line.split()[0] for line in cli("ls").out.splitlines()[1:]] == ["data", "vision/images"]


def test_a_folder_of_a_name_that_is_an_artifact_goes_there(saved: Path, cli: Cli) -> None:
    assert cli("put", "src", "--name", "data-v0").code == 0
    assert cli("get", "data:v0").code == 0
    assert cli("put", "artifacts/data-v0").out.startswith("no changes: same content as data-v0:v0")


def test_a_checkout_under_another_name_gets_a_hint(saved: Path, cli: Cli) -> None:
    assert cli("get", "data", "--root", "work").code == 0
    told = cli("put", "work")
    assert told.out.startswith("saved work:v0")
    assert told.err == "hint: work was data:v0; `artstore put --name data work` saves to that artifact\n"
    make_tree(saved / "work", {"new": "2"})
    assert cli("put", "--name", "data", "work").out.startswith("saved data:v1")
    assert cli("put", "work").err == "", "it is said once"


def test_a_hint_for_a_path_that_begins_with_a_dash_can_be_typed(saved: Path, cli: Cli) -> None:
    assert cli("get", "data", "--root", "-work").code == 0
    told = cli("put", "--", "-work")
    assert "`artstore put --name data -- -work` saves to that artifact" in told.err, told
    assert cli("put", "--name", "data", "--", "-work").code == 0


def test_a_name_that_another_project_has_gets_a_hint(saved: Path, cli: Cli) -> None:
    assert cli("config", "core.project", "other").code == 0
    told = cli("put", "src", "--name", "images")
    assert told.out.startswith("saved images:v0")
    assert told.err == (
        "hint: images is new in its project; `artstore put --name vision/images src` saves to the other one\n"
    )
    assert cli("put", "src", "--name", "images").err == ""
    assert cli("put", "src", "--name", "third/images").err == "", "its project was named"
    assert cli("put", "src", "--name", "fresh").err == ""


def test_a_save_to_a_former_name_says_the_name_under_which_it_is_stored(saved: Path, cli: Cli) -> None:
    assert cli("mv", "data", "vision/photos").code == 0
    make_tree(saved / "src", {"f": "2"})
    assert cli("put", "src", "--name", "data", "--dry-run").out.endswith("would save vision/photos:v1: 1 file, 1 B\n")
    dry = cli("put", "src", "--name", "data", "--dry-run", "--json")
    assert json.loads(dry.out)["spec"] == "local/vision/photos:v1"
    assert cli("put", "src", "--name", "data").out.startswith("saved vision/photos:v1: ")
    assert cli("put", "src", "--name", "data").out.startswith("no changes: same content as vision/photos:v1")
    assert cli("put", "src", "--name", "local/uncategorized/data").out.startswith("no changes: same content as vision/")
    assert cli("put", "src", "--name", "data:v1").code == 3
