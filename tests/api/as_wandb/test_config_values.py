"""Artifacts as values of a run's config, and changes that config refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

import artstore as wandb
from tests.support.artifacts import again, draft, log


@pytest.mark.parametrize(
    "named",
    [
        lambda data: f"wandb-artifact://{data.entity}/{data.project}/data:v0",
        lambda data: f"wandb-artifact://_id/{data.id}",
        lambda data: f"wandb-artifact://https://api.wandb.ai/{data.entity}/{data.project}/data:v0",
        lambda data: f"wandb-artifact://https://api.wandb.ai/_id/{data.id}",
        lambda data: data.json_encode(),
    ],
    ids=["name", "id", "name of a server", "id of a server", "what config records"],
)
def test_what_names_an_artifact_is_the_artifact_however_it_is_set(
    here: Path, named: Callable[[wandb.Artifact], object]
) -> None:
    data = log(draft())
    with wandb.init(config={"given": named(data)}) as run:
        run.config.assigned = named(data)
        run.config.update({"updated": named(data)})
        assert run.config.given == run.config.assigned == run.config.updated == data
    recorded = wandb.Api().run(run.path)
    told = {"_type": "artifactVersion", "_version": "v0", "id": data.id, "version": "v0", "sequenceName": "data"}
    assert recorded.config == dict.fromkeys(("given", "assigned", "updated"), told | {"usedAs": None})
    assert list(recorded.used_artifacts()) == [again()]


def test_an_id_that_is_not_here_stays_what_it_was(here: Path) -> None:
    elsewhere = {"_type": "artifactVersion", "id": "QXJ0aWZhY3Q6MQ==", "version": "v3"}
    with wandb.init(config={"uri": "wandb-artifact://_id/QXJ0aWZhY3Q6MQ=="}) as run:
        run.config.told = elsewhere
    assert wandb.Api().run(run.path).config == {"uri": "wandb-artifact://_id/QXJ0aWZhY3Q6MQ==", "told": elsewhere}


def test_a_value_that_would_change_is_refused_with_wandbs_text(here: Path) -> None:
    with wandb.init(config={"lr": 1}) as run:
        with pytest.raises(wandb.Error, match='^Attempted to change value of key "lr" from 1 to 2'):
            run.config.lr = 2
        with pytest.raises(AttributeError, match="object has no attribute 'layers'"):
            _ = run.config.layers
