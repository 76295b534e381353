"""The collection protocol's model: no interleaving and no crash loses a version, and each safeguard is needed."""

import pytest

from tests.guarantees.schedule import packing_model
from tests.guarantees.schedule.protocol_model import MERGER_UNLINKS, MUTATIONS, NO_RECHECK, Model
from tests.support.marks import mostly_long

CASTS = [
    ("saver", "deleter", "collector", "collector"),
    ("saver", "copier", "deleter", "collector"),
    ("copier", "deleter", "collector", "collector"),
    ("heir", "deleter", "collector", "collector"),
    ("heir", "saver", "deleter", "collector"),
    ("saver", "merger", "deleter", "collector"),
    ("copier", "merger", "merger", "collector"),
    ("merger", "merger", "collector", "deleter"),
    ("heir", "merger", "deleter", "collector"),
]


@pytest.mark.parametrize("cast", CASTS, ids=" ".join)
def test_no_interleaving_and_no_crash_leaves_a_live_version_unreadable(cast: tuple[str, ...]) -> None:
    states, violations = Model(cast).explore()
    assert violations == []
    assert states > 500


@pytest.mark.parametrize("mutation", mostly_long(MUTATIONS, NO_RECHECK, MERGER_UNLINKS))
def test_the_model_catches_a_protocol_in_which(mutation: str) -> None:
    found = {" ".join(cast): len(Model(cast, mutation).explore()[1]) for cast in CASTS}
    assert any(found.values()), f"no cast shows why this matters: {mutation}"


PACKING_CASTS = [
    (("packer", "collector", "saver", "other's deleter"), ("file", "other1")),
    (("packer", "collector", "saver", "deleter"), ("file", "other1")),
    (("packer", "packer", "saver", "deleter"), ("file", "other1", "other2")),
    (("collector", "collector", "saver", "other's deleter"), ("recipe1 a", "recipe2 b", "other1", "other2")),
    (("encoder", "collector", "saver", "other's deleter"), ("recipe1 a", "other1")),
    (("encoder", "collector", "saver", "deleter"), ("recipe1 a", "other1")),
    (("collector", "collector", "other's deleter"), ("recipe1 a", "recipe2 b", "other1")),
    (("encoder", "collector", "collector", "deleter"), ("recipe1 a", "other1")),
    (("encoder", "encoder", "collector", "saver", "other's deleter"), ("recipe1 a", "other1")),
    (("encoder", "packer", "collector", "collector"), ("file", "recipe1 a", "other1")),
    (("packer", "packer", "collector", "other's deleter"), ("file", "other1")),
    (("packer", "collector", "collector", "other's deleter"), ("file", "other1")),
]
_QUICK = PACKING_CASTS[:7]
PackingCast = tuple[tuple[str, ...], tuple[str, ...]]


@pytest.mark.parametrize("cast", mostly_long(PACKING_CASTS, *_QUICK), ids=lambda cast: " ".join(cast[0]))
def test_no_interleaving_and_no_crash_loses_what_is_packed(cast: PackingCast) -> None:
    states, violations = packing_model.Model(*cast).explore()
    assert violations == []
    assert states > 300


@pytest.mark.parametrize("mutation", packing_model.MUTATIONS)
def test_the_model_of_packing_catches_a_protocol_in_which(mutation: str) -> None:
    found = [len(packing_model.Model(*cast, mutation).explore()[1]) for cast in _QUICK]
    assert any(found), f"no cast shows why this matters: {mutation}"
