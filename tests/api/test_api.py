"""Api, runs and registries: what they refuse, and the small things that W&B's scripts ask of them."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import artstore as wandb
from artstore.errors import ArtstoreError, Conflict, InvalidValue, NotFound, Refused
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.commands import Cli
from tests.support.folders import make_tree

# -- Api -----------------------------------------------------------------------------------------


def test_questions_that_name_nothing_or_too_much_are_refused(here: Path) -> None:
    log(draft("data", type="dataset"))
    api = wandb.Api()
    refused: list[tuple[Any, type[Exception], str]] = [
        (lambda: api.artifact(""), InvalidValue, "You must specify name="),
        (lambda: api.artifact("data", type="model"), Conflict, "this artifact is of type dataset"),
        (lambda: api.artifacts(), InvalidValue, "needs the name of a collection"),
        (lambda: api.artifacts("model", "data"), NotFound, "it has type 'dataset'"),
        (
            lambda: api.artifacts(name="data", order="+colour"),
            InvalidValue,
            "Invalid order field 'colour', must be one of",
        ),
        (lambda: api.artifact_collection("model"), InvalidValue, "needs a name"),
        (lambda: api.artifact_collection("model", "data"), NotFound, "it has type 'dataset'"),
        (lambda: api.artifact_type("datasets"), NotFound, "there is no type 'datasets'"),
        (lambda: api.run("a/b/c/d"), InvalidValue, "is not a run's \\[\\[entity"),
        (lambda: wandb.Api(repository=here / "nothing"), NotFound, "there is no repository in"),
    ]
    for ask, error, reason in refused:
        with pytest.raises(error, match=reason):
            ask()


def test_what_an_api_says_of_itself(here: Path) -> None:
    log(draft("data", type="dataset"))
    api = wandb.Api()
    assert (api.default_entity, repr(api)) == ("local", f"<Api {here / '.artifacts'}>")
    assert repr(wandb.Api(repository=here)) == f"<Api {here / '.artifacts'}>"
    assert [found.name for found in api.artifact_types()] == ["dataset"] == [api.artifact_type("dataset").name]
    assert not api.artifact_exists("data", "model") and not api.artifact_collection_exists("other")


def test_the_hints_about_repositories_are_right(here: Path, cli: Cli) -> None:
    make_tree(here, {"empty": None, "full": None})
    for ask, place in (
        (lambda: wandb.Api(repository=here / "empty"), here / "empty/.artifacts"),
        (lambda: Repository(str(here / "full")), here / "full"),
    ):
        with pytest.raises(NotFound) as absent:
            ask()
        assert "`artstore init` makes one" in str(absent.value.hint)
        assert cli("init", cwd=here, ARTSTORE_DIR=str(place)).code == 0
        ask()
    log(draft("data", type="dataset"))
    assert cli("remote", "add", "--init", "nas", "nas", cwd=here).code == cli("push", cwd=here).code == 0
    url = (here / "nas").as_uri()
    with pytest.raises(Refused) as refused:
        wandb.Api(repository=url).artifact("data").delete()
    assert refused.value.hint == "`artstore clone` it, change the clone, and push"
    for command in (["clone", url, "copy"], ["rm", "data:v0"], ["push"]):
        where = here if command[0] == "clone" else here / "copy"
        assert cli(*command, cwd=where).code == 0
    assert not wandb.Api(repository=url).artifact_exists("data")


# -- runs ----------------------------------------------------------------------------------------


def test_a_run_logs_a_uri_as_references_and_refuses_what_is_no_artifact(here: Path) -> None:
    target = make_tree(here / "far", {"x": "1"})
    with wandb.init(id="r") as run:
        logged = run.log_artifact((target / "x").as_uri(), name="far")
        assert logged.type == "unspecified" and list(logged.manifest.entries) == ["x"]
        with pytest.raises(TypeError, match="log_artifact needs an Artifact or the path of a file or folder, not int"):
            run.log_artifact(5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="use_artifact needs an Artifact or a name such as 'data:latest', not int"):
            run.use_artifact(5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="there is no file or folder 'nothing' to log"):
            run.log_artifact("nothing")
        with pytest.raises(ValueError, match="Supplied type model does not match type unspecified"):
            run.use_artifact("far", type="model")


def test_the_urls_of_runs_and_versions_lead_to_folders_that_are_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = here / "a #1 % place"
    place.mkdir()
    monkeypatch.chdir(place)
    with wandb.init(id="my run", project="p") as run:
        artifact = run.log_artifact(str(make_tree(place / "data", {"a": "1"})), name="x")
    for url in (run.url, wandb.Api().run("p/my run").url, artifact.url):
        parts = urlsplit(url or "")
        assert parts.scheme == "file" and Path(unquote(parts.path)).is_dir(), url
    assert unquote(urlsplit(artifact.url).fragment) == artifact.qualified_name


@pytest.mark.parametrize("there", [False, True])
def test_git_ignores_downloads_unless_their_folder_was_there_before(here: Path, there: bool) -> None:
    (here / ".git").mkdir()
    if there:
        (here / "artifacts").mkdir()
    with wandb.init() as run:
        run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="data")
    wandb.Api().artifact("data:latest").download("elsewhere/deep")
    assert not (here / "elsewhere/.gitignore").exists()
    wandb.Api().artifact("data:latest").download()
    assert (here / "artifacts/data-v0/a").read_text() == "1"
    assert (here / "artifacts/.gitignore").exists() != there
    if not there:
        assert (here / "artifacts/.gitignore").read_text().splitlines()[-1] == "*"


def test_outside_git_a_download_makes_no_ignore_file(here: Path) -> None:
    with wandb.init() as run:
        run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="data")
        assert run.use_artifact("data:latest").download()
    assert not (here / "artifacts/.gitignore").exists()


def test_what_a_run_says_of_itself(here: Path) -> None:
    with wandb.init(id="r", project="p", entity="e") as run:
        assert (repr(run), run.path, run.step) == ("<Run e/p/r>", "e/p/r", 0)
        assert run.url == run.get_url() == f"file://{here}/.artifacts/runs/e/p/r"
        assert run.offline and not run.disabled and 0 <= time.time() - run.start_time < 100
        assert Path(run.dir).is_dir() and Path(run.dir).parent == here / "artifacts"
        with pytest.raises(TypeError, match=r"Expected a pytorch model \(torch.nn.Module\). Received <class 'object'>"):
            run.watch(object())
        with pytest.raises(
            ValueError, match="log must be one of 'gradients', 'parameters', 'all', or None, not 'both'"
        ):
            run.watch([], log="both")
        with pytest.warns(UserWarning, match=r"watch\(log_graph=True\) changes nothing"):
            assert run.watch([], log_graph=True) == []
        run.unwatch()
        with pytest.warns(UserWarning, match="it broke: why"):
            run.alert("it broke", "why")
        assert "<table" in run._repr_html_()


def test_a_disabled_run_leaves_nothing_and_says_so(here: Path) -> None:
    with wandb.init(mode="disabled") as run:
        run.log_artifact(draft("data"))
        assert (run.url, run.disabled) == (None, True)
        assert "run (disabled)" in run._repr_html_()
    assert not (here / ".artifacts").exists()


# -- registries ----------------------------------------------------------------------------------


def test_types_of_a_registry_can_be_added_in_every_way_of_a_list_and_those_that_were_saved_stay(here: Path) -> None:
    Repository.init(".artifacts").close()
    registry = wandb.Api().create_registry("models", artifact_types=["model"])
    types = registry.artifact_types
    types.extend(["a", "b", "a"])
    types += ["c"]
    types.insert(0, "d")
    assert list(types) == ["model", "a", "b", "c", "d"]
    types.remove("a")
    assert types.pop() == "d"
    del types[1]
    assert list(types) == ["model", "c"]
    for take_away in (
        lambda: types.remove("model"),
        lambda: types.pop(0),
        lambda: types.__delitem__(slice(0, 1)),
        types.clear,
    ):
        with pytest.raises(ValueError, match="Cannot (remove|delete)"):
            take_away()
    registry.save()
    assert list(wandb.Api().registry("models").artifact_types) == ["model", "c"]


def test_what_a_registry_says_of_itself(here: Path) -> None:
    Repository.init(".artifacts").close()
    api = wandb.Api()
    made = api.create_registry("models", visibility="restricted")
    same, other = api.registry("models"), api.create_registry("sets")
    assert made == same and hash(made) == hash(same) and made != other and repr(made) == "<Registry models>"
    assert (made.full_name, made.entity, made.organization) == ("registry-models", "local", "local")
    assert (made.path, made.id) == (["local", "registry-models"], "local/registry-models")
    assert made.created_at is not None and made.created_at.startswith("20")
    made.visibility = "organization"
    made.save()
    assert api.registry("models").visibility == "organization"


def test_collections_of_a_registry_come_in_the_order_that_is_asked_for(here: Path) -> None:
    made = [log(draft(name, type="model")) for name in ("b", "a", "c")]
    for artifact in made:
        artifact.link(f"registry-zoo/{artifact.name.partition(':')[0]}")
    zoo = wandb.Api().registry("zoo")
    wandb.Api().artifact("registry-zoo/c:v0").link("registry-zoo/a")
    found = {order: [one.name for one in zoo.collections(order=order)] for order in ("+name", "-name", "+created_at")}
    assert found == {"+name": ["a", "b", "c"], "-name": ["c", "b", "a"], "+created_at": ["b", "a", "c"]}
    assert next(one.name for one in zoo.collections(order="-updated_at")) == "a"
    with pytest.raises(InvalidValue, match="must be one of: name, created_at, updated_at"):
        list(zoo.collections(order="size"))


def test_a_collection_is_equal_to_itself_however_it_was_found(here: Path) -> None:
    log(draft("data", type="dataset"))
    log(draft("other", type="dataset"))
    api = wandb.Api()
    first, again, other = (api.artifact_collection("dataset", name) for name in ("data", "data", "other"))
    assert first == again and hash(first) == hash(again) and first != other and first != "data"


# -- single files --------------------------------------------------------------------------------


def test_status_follows_a_single_file_that_was_put(here: Path) -> None:
    file = make_tree(here, {"model.bin": "weights"}) / "model.bin"
    with Repository.init(".artifacts") as repository:
        repository.put("model.bin", "model")
        for _ in range(2):  # read, then known by its stat
            (status,) = repository.status()
            assert status.verified is not None and status.verified.ok and status.verified.files == 1
        file.write_text("edited!")
        (status,) = repository.status("model.bin")
        assert status.verified is not None and status.verified.changed == ["model.bin"]
        file.unlink()
        assert list(repository.status()) == [], "what is gone is forgotten"


def test_what_is_asked_of_an_artifact_refuses_a_version(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"a": "1"})), "c")
    for ask in (repo.collection, repo.history):
        with pytest.raises(InvalidValue, match="'c:v0' names a version; give the artifact alone: c"):
            ask("c:v0")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: wandb.Artifact("x", "t", metadata="{"),
        lambda: wandb.Table(columns=["a"], data=[[object()]]),
        lambda: wandb.Api().runs(filters={"name": {"$regex": "("}}),
        lambda: wandb.Api().artifact("nothing:latest"),
        lambda: wandb.Artifact("x", "t").add_file("nothing"),
    ],
)
def test_an_error_is_told_without_the_errors_inside_that_led_to_it(here: Path, wrong: Callable[[], object]) -> None:
    wandb.init(id="r").finish()
    with pytest.raises(ArtstoreError) as caught:
        wrong()
    told = "".join(traceback.format_exception(caught.value))
    assert "During handling" not in told and "direct cause" not in told


def test_an_order_that_is_not_given_is_the_default_and_one_that_is_not_text_is_refused(here: Path) -> None:
    log(draft())
    api, names = wandb.Api(), wandb.Api().create_registry("models")
    lists: list[Callable[[Any], Any]] = [
        lambda order: api.runs(order=order),
        lambda order: api.artifacts(name="data", order=order),
        lambda order: names.collections(order=order),
        lambda order: api.registries(order=order),
        lambda order: api.registries().collections(order=order),
    ]
    for listed in lists:
        assert list(listed(None)) == list(listed(""))
        for wrong in (5, ["+created_at"]):
            with pytest.raises(TypeError, match=r"^an order must be text such as '-created_at', not "):
                listed(wrong)
