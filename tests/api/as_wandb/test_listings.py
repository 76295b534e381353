"""Lists in pages, as W&B's paginators: `more`, `cursor`, `start`, and orders."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from tests.support.artifacts import draft, log, log_files


@pytest.fixture
def versions(here: Path) -> None:
    """data:v0 to v4, of 1, 3, 2, 3 and 1 bytes."""
    for number, size in enumerate((1, 3, 2, 3, 1)):
        log(draft("data", str(number) * size, type="dataset"))


def numbers(found: Any) -> str:
    return "".join(one.version[1:] for one in found)


def test_a_listing_goes_on_after_a_cursor(versions: None) -> None:
    listed = wandb.Api().artifacts("dataset", "data", per_page=2)
    assert listed.more and listed.cursor is None
    assert numbers(islice(listed, 2)) == "43" and listed.more
    rest = wandb.Api().artifacts("dataset", "data", per_page=2, start=listed.cursor)
    assert numbers(rest) == "210" and not rest.more and numbers(listed) == "43210" and not listed.more
    assert next(rest).version == "v2" and rest.next().version == "v1" and rest[2].version == "v0"
    last = wandb.Api().artifacts("dataset", "data", start=rest.cursor)
    assert list(last) == [] and len(last) == 0 and not last.more


def test_pages_are_counted_as_they_are_looked_at(versions: None) -> None:
    listed = wandb.Api().artifacts("dataset", "data", per_page=2)
    assert listed[0].version == "v4" and listed.cursor == "2"
    assert listed[3].version == "v1" and listed.cursor == "4" and listed.more
    assert listed[-1].version == "v0" and listed.cursor == "5" and not listed.more
    assert numbers(listed[1:3]) == "32"


@pytest.mark.parametrize("more", [{"per_page": 0}, {"per_page": -1}, {"start": "x"}, {"start": ""}])
def test_pages_and_cursors_that_are_none_are_refused(versions: None, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="per_page is|is not the cursor of a listing"):
        wandb.Api().artifacts("dataset", "data", **more)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (None, "43210"), ("", "43210"), ("-version_index", "43210"), ("+version_index", "01234"), ("version_index", "01234"),
        ("createdAt", "01234"), ("-created_at", "43210"), ("+size", "04213"), ("-size", "31240"), ("-version", "43210"),
    ],
)  # fmt: skip
def test_versions_come_in_an_order(versions: None, order: str | None, found: str) -> None:
    api = wandb.Api()
    assert numbers(api.artifacts("dataset", "data", order)) == found
    assert numbers(api.artifact_collection("dataset", "data").versions(order=order)) == found


@pytest.mark.parametrize("order", ["best", "+-size", "metadata.acc", "-"])
def test_versions_have_no_other_orders(versions: None, order: str) -> None:
    with pytest.raises(ValueError, match="Invalid order (string|field)"):
        wandb.Api().artifacts("dataset", "data", order)


def test_arguments_have_wandbs_places(versions: None) -> None:
    """order, per_page and start are the third to fifth, as in W&B; filters are by name."""
    log(draft("zoo", "1", type="dataset"))
    api = wandb.Api()
    assert [one.name for one in api.artifact_collections("uncategorized", "dataset", "-name", 1)] == ["zoo", "data"]
    assert [one.name for one in api.artifact_collections("uncategorized", "dataset", "name", 1, "1")] == ["zoo"]
    assert numbers(api.artifacts("dataset", "data", "size", 50, None, "3")) == "13"
    assert [one.name for one in api.artifact_types("uncategorized", "0")] == ["dataset"]
    assert [one.name for one in api.artifact_type("dataset").collections(None, "-name", 1, "1")] == ["data"]
    assert numbers(api.artifact_collection("dataset", "data").artifacts(2, "3")) == "10"


def test_projects_are_those_with_artifacts_or_runs(here: Path) -> None:
    log_files({"f": "1"})
    with wandb.init(project="trained", entity="team"):
        pass
    with wandb.init(project="run only"):
        pass
    log(draft("net", type="model"), project="saved").link("registry-models/net")
    api = wandb.Api()
    assert [project.name for project in api.projects()] == ["run only", "saved", "uncategorized"]
    assert [str(project) for project in api.projects("team")] == ["<Project team/trained>"]
    assert [project.path for project in wandb.Api(overrides={"entity": "team"}).projects()] == [["team", "trained"]]
    assert list(api.projects("nobody")) == []
