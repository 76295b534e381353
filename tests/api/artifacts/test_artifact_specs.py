"""Specs as a script writes them: what they find, what they say when they don't, and where their defaults come from."""

from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import ArtstoreError, NotFound
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree

# -- specs ---------------------------------------------------------------------------------------


def test_a_spec_finds_by_alias_number_digest_prefix_and_id_with_or_without_project_and_entity(here: Path) -> None:
    old, new = log(draft(text="1"), aliases=["best"]), log(draft(text="2"))
    api = wandb.Api()
    for prefix in ("", "uncategorized/", "local/uncategorized/"):
        for end in (":best", ":v0", f"@{old.digest}", f"@{old.digest[:4]}", f"@{old.id}", f"@{(old.id or '')[:12]}"):
            assert api.artifact(f"{prefix}data{end}") == old, end
        for end in ("", ":latest", ":v1", f"@{new.digest[:8]}"):
            assert api.artifact(f"{prefix}data{end}") == new, end


def test_of_versions_with_the_same_digest_the_newest_live_one_is_meant(here: Path) -> None:
    first = log(draft(text="1"))
    log(draft(text="2"))
    again = log(draft(text="1"))
    assert (first.digest, again.version) == (again.digest, "v2")
    assert wandb.Api().artifact(f"data@{first.digest[:8]}") == again
    again.delete(delete_aliases=True)
    assert wandb.Api().artifact(f"data@{first.digest[:8]}") == first


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "You must specify name= to fetch an artifact"), ("a/b/c/d", "too many parts"), ("data:", "alias '' is not"),
        ("data:a:b", "Aliases must not contain"), ("data@xyz", "'xyz' in 'data@xyz' is not a digest prefix"),
        ("data@abc", "4 to 64 lower-case hex digits"), ("p?/data", "project 'p\\?' is not"), ("/data", "project '' is not"),
        ("a//data", "project '' is not"), ("../p/data", "entity '..' is not"), ("p/", "artifact name '' is not"),
    ],
)  # fmt: skip
def test_a_spec_that_breaks_a_rule_says_which_part(here: Path, spec: str, message: str) -> None:
    log(draft())
    with pytest.raises(ValueError, match=message) as error:
        wandb.Api().artifact(spec)
    assert isinstance(error.value, ArtstoreError)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        (
            "locl/uncategorized/data",
            "project 'uncategorized' not found: there is no entity 'locl' here",
            "did you mean 'local/uncategorized/data'?",
        ),
        (
            "uncategorised/data",
            "project 'uncategorised' not found in entity 'local'",
            "did you mean 'uncategorized/data'?",
        ),
        ("dtaa", "there is no artifact 'dtaa' in project local/uncategorized", "did you mean 'data'?"),
        ("data:bset", "local/uncategorized/data has no alias 'bset'", "did you mean 'local/uncategorized/data:best'?"),
        ("data:v9", "local/uncategorized/data has no version v9", "the newest is v1"),
        ("data:v0", "local/uncategorized/data:v0 was deleted on ", "`artstore undelete local/uncategorized/data:v0`"),
        ("data@0000", "local/uncategorized/data has no live version with digest 0000", "lists them"),
    ],
)
def test_what_is_not_found_says_which_part_is_missing_and_what_is_near(
    here: Path, spec: str, message: str, hint: str
) -> None:
    log(draft(text="1")).delete(delete_aliases=True)
    log(draft(text="2"), aliases=["best"])
    with pytest.raises(NotFound) as error:
        wandb.Api().artifact(spec)
    assert str(error.value).startswith(message) and hint in (error.value.hint or "")
    assert isinstance(error.value, ValueError) and not wandb.Api().artifact_exists(spec)


def test_a_file_of_an_artifact_that_is_taken_for_an_artifact_is_said_to_be_in_it(here: Path) -> None:
    artifact = wandb.Artifact("photos")
    for path in ("train.csv", "sub/bike.png"):
        with artifact.new_file(path) as file:
            file.write("1")
    log(artifact)
    for spec in ("train.csv", "sub/bike.png", "train.csv:latest"):
        with pytest.raises(NotFound) as error:
            wandb.Api().artifact(spec)
        assert "photos" in f"{error.value} {error.value.hint}", spec


# -- defaults and the environment ----------------------------------------------------------------


def test_the_default_project_is_uncategorized_and_the_default_entity_local(here: Path) -> None:
    assert log(draft()).qualified_name == "local/uncategorized/data:v0"


@pytest.mark.parametrize(
    ("variables", "home"),
    [
        ({"ARTSTORE_PROJECT": "p", "ARTSTORE_ENTITY": "e"}, "e/p"),
        ({"WANDB_PROJECT": "p", "WANDB_ENTITY": "e"}, "e/p"),
        ({"ARTSTORE_PROJECT": "ours", "WANDB_PROJECT": "theirs"}, "local/ours"),
        ({"ARTSTORE_ENTITY": "ours", "WANDB_ENTITY": "theirs"}, "ours/uncategorized"),
        ({"ARTSTORE_PROJECT": "", "WANDB_PROJECT": "p"}, "local/p"),
    ],
)
def test_the_environment_sets_default_project_and_entity(
    here: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], home: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert log(draft()).qualified_name == f"{home}/data:v0"
    assert wandb.Api().artifact("data").qualified_name == f"{home}/data:v0"


def test_the_repositorys_config_sets_defaults_which_the_environment_overrides(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb.Repository.init(".artifacts").close()
    (here / ".artifacts/config").write_text("[core]\nproject = configured\nentity = team\n")
    assert log(draft()).qualified_name == wandb.Api().artifact("data").qualified_name == "team/configured/data:v0"
    monkeypatch.setenv("WANDB_PROJECT", "environment")
    assert log(draft()).qualified_name == "team/environment/data:v0"


def test_a_default_that_breaks_the_rule_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "a/b")
    with pytest.raises(ValueError, match="project 'a/b' is not allowed"):
        log(draft())


def test_wandbs_other_variables_are_honoured_and_ours_come_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "theirs")
    monkeypatch.setenv("WANDB_DIR", str(make_tree(here / "elsewhere", {})))
    monkeypatch.setenv("WANDB_ARTIFACT_DIR", str(here / "w"))
    with wandb.init() as run:
        artifact = run.log_artifact(draft())
        assert run.id == "theirs"
    assert (here / "elsewhere/.artifacts/format").is_file() and not (here / ".artifacts").exists()
    assert artifact.download() == str(here / "w/data-v0")
    monkeypatch.setenv("ARTSTORE_RUN_ID", "ours")
    monkeypatch.setenv("ARTSTORE_ARTIFACT_DIR", str(here / "a"))
    monkeypatch.setenv("ARTSTORE_DIR", str(here / "own"))
    with wandb.init() as run:
        artifact = run.log_artifact(draft())
        assert run.id == "ours"
    assert (here / "own/format").is_file() and artifact.download() == str(here / "a/data-v0")


def test_in_mode_disabled_nothing_is_recorded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with wandb.init() as run:
        run.log_artifact(wandb.Artifact("data"))
        assert run.disabled
    assert list(here.iterdir()) == []
    monkeypatch.setenv("ARTSTORE_MODE", "online")
    with wandb.init() as run:
        assert not run.disabled
