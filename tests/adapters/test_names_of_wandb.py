"""Each public name of the wandb that is installed works here, is harmless, or is refused with the reason."""

from importlib.metadata import version

import pytest

import artstore
from artstore.adapters.wandb_names.table import VERSION
from tests.adapters.names_of_wandb import rows


def test_no_public_name_of_wandb_is_unknown() -> None:
    """A new release of W&B's package brings names: give each a home, or a reason in `api/absent.py`."""
    known = rows()
    assert [row.name for row in known if row.verdict == "unknown"] == []
    assert len(known) > 900 and all(row.reason for row in known if row.verdict == "refused")


def test_the_version_that_the_name_has_is_the_one_that_the_tests_check() -> None:
    assert version("wandb") == VERSION


def test_a_name_that_means_nothing_here_says_why(here: artstore.Api) -> None:
    artstore.init(project="names").finish()
    registry = artstore.Api().create_registry("models")
    for thing, name, why in (
        (registry, "members", "artstore's Registry has no 'members': there are no accounts"),
        (artstore.Api(), "run_queue", "artstore's Api has no 'run_queue': it starts no jobs"),
    ):
        with pytest.raises(artstore.UnsupportedError, match=why):
            getattr(thing, name)
        assert not hasattr(thing, name)
    viewer = artstore.Api().viewer
    assert (viewer.entity, viewer.teams) == ("local", [])
