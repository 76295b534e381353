"""Artifacts as a script names them: names, types, aliases, tags, ttl and paths, allowed and refused."""

import datetime
import os
import re
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import artstore as wandb
from artstore.errors import ArtstoreError
from tests.support.artifacts import draft, log, names
from tests.support.folders import make_tree

IN_A_FOLDER = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


# -- artifact names and types --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a", "7", "...", "-", "Größe_v1.2-final x", "日本語", "x" * 128, "é" * 40, "con", ".hidden"]
)
def test_a_name_of_letters_digits_and_single_spaces_is_logged_and_found(here: Path, name: str) -> None:
    assert log(draft(name)).name == f"{name}:v0"
    assert wandb.Api().artifact(name).name == f"{name}:v0"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", " a", "a ", "a  b", "a/b", "a:b", "a@b", "a\n", "a\tb", "a*", "a\x00", "a\u202eb", "x" * 129],
)
def test_any_other_name_is_a_value_error_that_says_the_rule_and_the_value(name: str) -> None:
    with pytest.raises(ValueError, match="artifact name") as error:
        wandb.Artifact(name, type="dataset")
    assert isinstance(error.value, ArtstoreError)
    text = str(error.value)
    assert text.endswith("is not allowed: 1 to 128 letters, digits, '_', '-', '.' and single spaces inside")
    assert text.isprintable() and (f"'{name}'" in text or not name.isprintable())


def test_a_name_longer_than_240_bytes_once_encoded_is_refused() -> None:
    with pytest.raises(ValueError, match=r"artifact name 'é+' is not allowed: longer than 240 bytes once"):
        wandb.Artifact("é" * 41)


@pytest.mark.parametrize("name", [None, 5, b"bytes", Path("a")])
def test_a_name_that_is_no_text_is_a_type_error(name: Any) -> None:
    with pytest.raises(TypeError, match="an artifact's name must be text, not"):
        wandb.Artifact(name)


def test_names_that_unicode_calls_equal_are_one_name(here: Path) -> None:
    assert wandb.Artifact("e\u0301te\u0301").name == "été"
    log(draft("e\u0301te\u0301", "1"))
    assert log(draft("été", "2")).name == wandb.Api().artifact("e\u0301te\u0301:v1").name == "été:v1"


def test_the_same_name_with_another_type_is_refused_and_stays_a_draft(here: Path) -> None:
    log(draft(type="dataset"))
    other = draft(text="2", type="model")
    with pytest.raises(ValueError) as error:
        log(other)
    assert (
        str(error.value) == "Artifact data already exists with type 'dataset'; cannot create another with type 'model'"
    )
    assert other.is_draft() and wandb.Api().artifact("data").version == "v0"
    assert log(other, project="elsewhere").type == "model", "a name is unique in its project, not beyond"


def test_the_same_name_but_for_case_is_refused_and_neither_finds_the_other(here: Path) -> None:
    log(draft("Model"))
    with pytest.raises(ValueError, match="uncategorized/model differs only in case from local/uncategorized/Model"):
        log(draft("model", "2"))
    assert names() == ["Model"]
    assert log(draft("model"), project="elsewhere").name == "model:v0"
    assert not wandb.Api().artifact_exists("MODEL")


def test_a_project_or_entity_that_differs_only_in_case_from_one_in_use_is_refused(here: Path) -> None:
    log(draft())
    for home in ({"project": "Uncategorized"}, {"entity": "Local"}):
        with pytest.raises(ValueError, match="differs only in case"), wandb.init(**home) as run:
            run.log_artifact(draft("other"))
    assert names() == ["data"]


def test_a_type_that_is_left_out_is_the_collections_else_artifact(here: Path) -> None:
    assert log(draft("plain")).type == "artifact"
    log(draft(type="dataset"))
    assert log(draft(text="2")).type == log(draft(text="1", type=None)).type == "dataset"


@pytest.mark.parametrize("type", ["", "..", "a/b", "a:b", "x" * 129, " a"])
def test_a_type_has_the_characters_of_a_name(type: str) -> None:
    with pytest.raises(ValueError, match=f"type '{re.escape(type)}' is not allowed: 1 to 128 letters"):
        wandb.Artifact("data", type=type)


def test_types_that_begin_with_artstore_are_reserved() -> None:
    with pytest.raises(ValueError, match="types that begin with 'artstore-' are reserved"):
        wandb.Artifact("data", type="artstore-job")
    assert wandb.Artifact("data", type="artstore").type == "artstore"


def test_a_type_or_description_that_is_no_text_is_a_type_error_of_ours() -> None:
    for wrong in ({"type": 5}, {"description": 5}):
        with pytest.raises(TypeError, match="text") as error:
            wandb.Artifact("data", **wrong)
        assert isinstance(error.value, ArtstoreError)


# -- aliases and tags ----------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["best", "v1.0", "v", "a b", "Ä", "ab" * 31, "x" * 128, "production-eu_1"])
def test_an_alias_is_given_on_log_and_finds_the_version(here: Path, alias: str) -> None:
    assert log(draft(), aliases=[alias, alias]).aliases == ["latest", alias]
    assert wandb.Api().artifact(f"data:{alias}").version == "v0"


@pytest.mark.parametrize(
    "alias", ["", "a/b", "a:b", "a@b", "v0", "v17", "v01", "ab" * 32, "AB" * 32, "a\nb", "x" * 129]
)
def test_an_alias_that_reads_like_something_else_is_refused_and_nothing_is_logged(here: Path, alias: str) -> None:
    with pytest.raises(ValueError, match="alias '.*' is not allowed|Aliases must not contain"):
        log(draft(), aliases=["fine", alias])
    assert names() == []


def test_one_alias_or_tag_may_be_given_as_text(here: Path) -> None:
    artifact = log(draft(), aliases="best", tags="checked")
    assert (artifact.aliases, artifact.tags) == (["latest", "best"], ["checked"])


def test_latest_is_the_newest_live_version_and_a_no_op_on_log(here: Path) -> None:
    old, new = log(draft(text="1"), aliases=["latest"]), log(draft(text="2"), aliases=["latest", "best"])
    assert (old.version, new.version, wandb.Api().artifact("data:latest").version) == ("v0", "v1", "v1")
    assert new.aliases == ["latest", "best"] and wandb.Api().artifact("data:v0").aliases == []
    new.delete(delete_aliases=True)
    assert wandb.Api().artifact("data:latest").version == "v0"


@pytest.mark.parametrize(
    "put",
    [
        lambda old, run: run.use_artifact("data:v0", aliases=["latest"]),
        lambda old, run: run.log_artifact(old, aliases=["latest"]),
        lambda old, run: (setattr(old, "aliases", [*old.aliases, "latest"]), old.save()),
    ],
    ids=["use_artifact", "log_artifact", "save"],
)
def test_latest_put_on_an_older_version_is_refused(here: Path, put: Callable[[Any, Any], object]) -> None:
    log(draft(text="1"))
    log(draft(text="2"))
    with wandb.init() as run, pytest.raises(ValueError, match="'latest' can't be set.*always the newest version"):
        put(wandb.Api().artifact("data:v0"), run)
    assert wandb.Api().artifact("data").version == "v1"


def test_latest_for_a_draft_that_is_an_older_version_is_refused_before_anything_is_saved(here: Path) -> None:
    log(draft(text="1"))
    log(draft(text="2"))
    with wandb.init() as run:
        same = draft(text="1")
        with pytest.raises(ValueError, match="'latest' can't be set.*always the newest version"):
            run.use_artifact(same, aliases=["latest", "best"])
        assert (same.state, wandb.Api().artifact("data:v0").aliases, list(run.used_artifacts())) == ("PENDING", [], [])
        assert run.use_artifact(same, aliases=["best"]).name == "data:v0"
        assert [used.name for used in run.used_artifacts()] == ["data:v0"]
        newest = run.use_artifact(draft(text="2"), aliases=["latest", "good"])
    assert (newest.name, newest.aliases) == ("data:v1", ["latest", "good"])


def test_tags_keep_their_order_and_lose_duplicates(here: Path) -> None:
    assert log(draft(), tags=["b", "a b", "b", "c-d_e", "Ä"]).tags == ["b", "a b", "c-d_e", "Ä"]


@pytest.mark.parametrize("tag", ["", " a", "a  b", "a,b", "a/b", "a\n", "x" * 129])
def test_a_tag_that_is_not_words_with_single_spaces_is_refused_and_nothing_is_logged(here: Path, tag: str) -> None:
    with pytest.raises(ValueError, match="Invalid tag.s.: '.*' is not words of letters"):
        log(draft(), tags=["fine", tag])
    assert names() == []


@pytest.mark.parametrize("more", [{"tags": [5]}, {"aliases": [5]}])
def test_tags_and_aliases_that_are_no_text_are_a_type_error_of_ours(here: Path, more: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="must be text, not 5") as error:
        log(draft(), **more)
    assert isinstance(error.value, ArtstoreError)


# -- projects, entities, run ids -----------------------------------------------------------------


@pytest.mark.parametrize("what", ["project", "entity", "run id"])
@pytest.mark.parametrize(
    "value", [".", "..", "a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", "a\nb", "a\x7f", "x" * 129, "é" * 41]
)
def test_a_project_entity_or_run_id_that_breaks_the_rule_is_refused(here: Path, what: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{what} '.*' is not allowed: (1 to 128|longer than 240)") as error:
        wandb.init(**{"id" if what == "run id" else what: value})
    assert str(error.value).isprintable() and wandb.run is None


def test_other_characters_in_projects_entities_and_run_ids_are_kept(here: Path) -> None:
    with wandb.init(project="my proj (v2)", entity="Größe & Co", id="run.1~x") as run:
        artifact = run.log_artifact(draft())
    assert (artifact.entity, artifact.project) == ("Größe & Co", "my proj (v2)")
    assert run.path == "Größe & Co/my proj (v2)/run.1~x"
    assert wandb.Api().artifact("Größe & Co/my proj (v2)/data:v0") == artifact


# -- ttl -----------------------------------------------------------------------------------------


def test_a_ttl_is_a_positive_timedelta_none_or_inherited() -> None:
    artifact = wandb.Artifact("data")
    for ttl in (datetime.timedelta(days=30), None, wandb.ArtifactTTL.INHERIT):
        artifact.ttl = ttl
        if ttl != wandb.ArtifactTTL.INHERIT:
            assert artifact.ttl == ttl
    for low in (datetime.timedelta(0), datetime.timedelta(days=-1)):
        with pytest.raises(ValueError, match="TTL Duration has to be positive|ttl .* is not allowed"):
            artifact.ttl = low
    for other in (30, "30d"):
        with pytest.raises(TypeError, match="ttl must be a timedelta, None for ever, or ArtifactTTL.INHERIT, not"):
            artifact.ttl = other


# -- entry paths ---------------------------------------------------------------------------------

BAD = ["", ".", "/a", "//h/s", "..", "../a", "a/../b", "a/..", "C:a", "c:/a", "C:\\a", "\\a", "\\\\h\\s", "a\\..\\b", "a\x00b"]  # fmt: skip
ENTRANCES: dict[str, Callable[[wandb.Artifact, Any], Any]] = {
    "add_file": lambda artifact, path: artifact.add_file("here/f", name=path),
    "add_dir": lambda artifact, path: artifact.add_dir("here", name=path),
    "new_file": lambda artifact, path: artifact.new_file(path).__enter__(),
    "get_entry": lambda artifact, path: artifact.get_entry(path),
    "remove": lambda artifact, path: artifact.remove(path),
}


@pytest.mark.parametrize(
    ("entrance", "path"),
    # To add_dir the first two mean the artifact's root, as in W&B.
    [(entrance, path) for entrance in ENTRANCES for path in BAD if entrance != "add_dir" or path not in BAD[:2]],
)
def test_a_path_that_is_empty_absolute_climbing_or_windows_rooted_is_refused_everywhere(
    here: Path, entrance: str, path: str
) -> None:
    make_tree(here / "here", {"f": "1"})
    artifact = draft()
    with pytest.raises(ValueError, match="^Invalid artifact path: ") as error:
        ENTRANCES[entrance](artifact, path)
    assert str(error.value).isprintable() and list(artifact.manifest.entries) == ["f"]


@pytest.mark.parametrize(
    "path", ["sub/x", Path("sub/x"), PurePosixPath("sub/x"), PureWindowsPath("sub\\x")], ids=lambda p: type(p).__name__
)
def test_paths_of_every_kind_come_out_posix(here: Path, path: str | PurePath) -> None:
    make_tree(here / "here", {"f": "1"})
    artifact = wandb.Artifact("data")
    assert artifact.add_file("here/f", name=path).path == "sub/x"
    assert artifact.get_entry(path).path == "sub/x"
    artifact.remove(path)
    artifact.add_dir("here", name=path)
    with artifact.new_file(path / "g" if isinstance(path, PurePath) else f"{path}/g") as file:
        file.write("2")
    assert list(artifact.manifest.entries) == ["sub/x/f", "sub/x/g"]
    assert log(artifact).get_entry(path / "g" if isinstance(path, PurePath) else f"{path}/g").path == "sub/x/g"


def test_odd_bytes_in_paths_are_stored_as_they_are_and_escaped_when_shown(here: Path) -> None:
    odd = os.fsdecode(b"a\nb/\x1b[0m/caf\xe9\xe2\x80\xae")
    artifact = wandb.Artifact("data")
    with artifact.new_file(odd) as file:
        file.write("1")
    with pytest.raises(ValueError) as error, artifact.new_file(odd):
        pass
    assert r"a\nb".replace("n", "x0a") in str(error.value) and str(error.value).isprintable()
    artifact = log(artifact)
    assert list(artifact.manifest.entries) == [odd] and artifact.get_entry(odd).size == 1
    assert Path(artifact.download("out"), odd).read_text() == "1"
    assert repr(artifact.get_entry(odd)).isprintable()
    for action in (lambda: artifact.get_entry(odd + "x"), lambda: artifact.verify("here")):
        make_tree(here / "here", {})
        with pytest.raises(ValueError) as error:
            action()
        assert str(error.value).isprintable() and (error.value.hint or "").isprintable()  # type: ignore[attr-defined]


# -- any text ------------------------------------------------------------------------------------

CHARACTERS = st.one_of(st.sampled_from(string.ascii_letters + "09 _-./:@é\u0301ß\n"), st.characters(codec="utf-8"))


def is_allowed(name: str) -> bool:
    name = unicodedata.normalize("NFC", name)
    words = name.split(" ")
    encoded = sum(1 if c.isascii() and c.isalnum() else 3 * len(c.encode()) for c in name.casefold())
    marks = {c for c in name if unicodedata.category(c).startswith("M")}
    letters = all(
        word and word[0] not in marks and all(c.isalnum() or c in "_-." or c in marks for c in word) for word in words
    )
    return letters and len(name) <= 128 and encoded <= 240 and name not in (".", "..")


@given(st.text(CHARACTERS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_name_is_allowed_exactly_when_the_rule_says_so(name: str) -> None:
    if is_allowed(name):
        assert wandb.Artifact(name).name == unicodedata.normalize("NFC", name)
    else:
        with pytest.raises(ValueError, match="artifact name"):
            wandb.Artifact(name)


@given(st.text(st.sampled_from("ab/.\\:\x00\n é") | st.characters(codec="utf-8"), max_size=12))
@IN_A_FOLDER
def test_a_path_is_refused_or_stored_and_restored_exactly_there(here: Path, path: str) -> None:
    artifact = wandb.Artifact("paths")
    try:
        with artifact.new_file(path) as file:
            file.write(path)
    except ValueError as error:
        assert re.match("Invalid artifact path: ", str(error)) and str(error).isprintable()
        assert len(artifact.manifest) == 0
        return
    artifact = log(artifact)
    assert list(artifact.manifest.entries) == ["/".join(part for part in path.split("/") if part not in ("", "."))]
    root = Path(artifact.download())
    found = [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
    assert found == [Path(path)] and ".." not in Path(path).parts
