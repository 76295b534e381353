"""Filters: every operator over everything that is said, the same through the API and the command line."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.filters import fields_of, matches
from artstore.errors import InvalidValue
from tests.support.artifacts import draft, log
from tests.support.commands import Cli

SAID = {
    "acc": 0.5, "n": 7, "zero": 0, "flag": True, "none": None, "text": "ten", "list": [1, "two", [3]],
    "nested": {"deep": {"er": 2}, "dotted.key": 1}, "a.b": 4, "empty": {},
}  # fmt: skip


def fits(condition: Any) -> bool:
    values = {"name": "data", "tags": ["x", "y z"], "description": None, "metadata": SAID}
    return matches(condition, fields_of(values, ("metadata",), {"tag": "tags"}))


# -- operators -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"name": "data"},
        {"name": {"$eq": "data"}},
        {"name": {"$ne": "other"}},
        {"name": {"$regex": "^da"}},
        {"name": {"$contains": "at"}},
        {"name": {"$in": ["a", "data"]}},
        {"name": {"$nin": ["a", "b"]}},
        {"name": {"$not": {"$eq": "other"}}},
        {"name": {"$gt": "a", "$lt": "e"}},
        {"tags": "x"},
        {"tag": "y z"},
        {"tags": ["x", "y z"]},
        {"tags": {"$in": ["q", "x"]}},
        {"tags": {"$nin": ["q"]}},
        {"tags": {"$ne": "q"}},
        {"metadata.acc": 0.5},
        {"metadata.acc": {"$gt": 0.4, "$gte": 0.5, "$lt": 1, "$lte": 0.5}},
        {"metadata.n": 7.0},
        {"metadata.zero": 0},
        {"metadata.zero": {"$exists": True}},
        {"metadata.flag": True},
        {"metadata.none": None},
        {"metadata.none": {"$exists": True}},
        {"metadata.missing": None},
        {"metadata.missing": {"$exists": False}},
        {"metadata.missing": {"$ne": 1}},
        {"metadata.missing": {"$nin": [1]}},
        {"metadata.list": 1},
        {"metadata.list": "two"},
        {"metadata.list": [1, "two", [3]]},
        {"metadata.list": {"$in": [[3]]}},
        {"metadata.nested.deep.er": {"$gte": 2}},
        {"metadata.nested.dotted.key": 1},
        {"metadata.a.b": 4},
        {"metadata.nested": {"deep": {"er": 2}, "dotted.key": 1}},
        {"metadata.empty": {}},
        {"$and": [{"name": "data"}, {"tags": "x"}]},
        {"$or": [{"name": "other"}, {"tags": "x"}]},
        {"$nor": [{"name": "other"}]},
        {"$not": {"name": "other"}},
        {"$not": {"$or": [{"name": "other"}, {"$and": [{"tags": "x"}, {"tags": "q"}]}]}},
        {"name": "data", "metadata.n": {"$in": [7]}},
        {"$and": []},
        {"description": {"$exists": False}},
        {"description": None},
    ],
    ids=json.dumps,
)
def test_a_condition_that_holds_fits_and_its_negation_does_not(condition: dict[str, Any]) -> None:
    assert fits(condition)
    assert not fits({"$not": condition})
    assert not fits({"$nor": [condition]})


@pytest.mark.parametrize(
    "condition",
    [
        {"name": "dat"},
        {"name": "Data"},
        {"metadata.flag": 1},
        {"metadata.n": "7"},
        {"metadata.zero": False},
        {"metadata.text": {"$gt": 1}},
        {"metadata.n": {"$gt": "1"}},
        {"metadata.flag": {"$gt": 0}},
        {"metadata.missing": {"$gt": 0}},
        {"metadata.missing": {"$regex": ""}},
        {"metadata.none": {"$lt": 1}},
        {"metadata.nested.deep.er.x": {"$exists": True}},
        {"metadata.list": {"$nin": ["two"]}},
        {"tags": {"$ne": "x"}},
        {"tags": ["x"]},
        {"$or": []},
        {"$and": [{"name": "data"}, {"name": "other"}]},
    ],
    ids=json.dumps,
)
def test_a_condition_that_does_not_hold_does_not_fit(condition: dict[str, Any]) -> None:
    assert not fits(condition)


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        ("name", "a filter is a dict"),
        ([{"name": 1}], "a filter is a dict"),
        ({"nmae": "x"}, "no field 'nmae'"),
        ({"name.x": 1}, "no field 'name.x'"),
        ({"$xor": []}, "'$xor' is not an operator"),
        ({"name": {"$gtt": 1}}, "'$gtt' is not an operator"),
        ({"name": {"$eq": "data", "x": 1}}, "'x' is not an operator"),
        ({"$and": {"name": "data"}}, "$and takes a list"),
        ({"$or": "data"}, "$or takes a list"),
        ({"name": {"$in": "data"}}, "$in takes a list"),
        ({"name": {"$nin": 1}}, "$nin takes a list"),
        ({"name": {"$regex": "("}}, "is not a regular expression"),
        ({"name": {"$regex": 1}}, "$regex takes text"),
        ({"name": "other", "nmae": 1}, "no field 'nmae'"),
        ({"$or": [{"name": "data"}, {"$xor": []}]}, "'$xor' is not an operator"),
        ({"metadata.n": {"$gt": [1]}}, "$gt"),
        ({"metadata.n": {"$gt": None}}, "$gt"),
    ],
    ids=str,
)
def test_what_is_no_filter_is_told_in_a_sentence(condition: Any, word: str) -> None:
    with pytest.raises(InvalidValue) as error:
        fits(condition)
    assert word in str(error.value)


def test_a_filter_that_is_nested_too_deep_is_told_so() -> None:
    condition: dict[str, Any] = {"name": "data"}
    for _ in range(5000):
        condition = {"$not": condition}
    with pytest.raises(InvalidValue, match="levels deep"):
        fits(condition)


# -- versions, through the API and the command line ------------------------------------------------------------------


@pytest.fixture
def filled(here: Path) -> Path:
    """Five versions of `data`, v3 deleted, and one of another artifact."""
    for number in range(5):
        metadata = {"acc": number / 10, "cfg": {"lr": 10**-number}, "n": number, "even": number % 2 == 0}
        more = {"day": datetime.date(2026, 11, number + 1)}
        log(draft(text="x" * number, type="dataset", description=f"number {number}", metadata=metadata | more))
    wandb.Api().artifact("data:v3").delete(delete_aliases=True)
    api = wandb.Api()
    for spec, tags, aliases in (("data:v0", ["old", "2024"], ["first"]), ("data:v2", ["good", "y z"], ["best"])):
        artifact = api.artifact(spec)
        artifact.tags, artifact.aliases = tags, [*artifact.aliases, *aliases]
        artifact.save()
    log(draft("other", type="model"))
    return here


TODAY = datetime.datetime.now(datetime.UTC)
YESTERDAY, TOMORROW = ((TODAY + datetime.timedelta(days)).date().isoformat() for days in (-1, 1))
CASES: list[tuple[list[str], dict[str, Any], list[int]]] = [
    (["version=v2"], {"version": "v2"}, [2]),
    (["version!=v2"], {"version": {"$ne": "v2"}}, [0, 1, 4]),
    (["name=data"], {"name": "data"}, [0, 1, 2, 4]),
    (["name~^da.a$"], {"name": {"$regex": "^da.a$"}}, [0, 1, 2, 4]),
    (["type=dataset"], {"type": "dataset"}, [0, 1, 2, 4]),
    (["type=model"], {"type": "model"}, []),
    (["aliases=best"], {"aliases": "best"}, [2]),
    (["alias=latest"], {"alias": "latest"}, [4]),
    (["tags=good"], {"tags": "good"}, [2]),
    (["tag = y z"], {"tag": "y z"}, [2]),
    (["tags!=good"], {"tags": {"$ne": "good"}}, [0, 1, 4]),
    (["metadata.acc>=0.2"], {"metadata.acc": {"$gte": 0.2}}, [2, 4]),
    (["metadata.acc > 0.2"], {"metadata.acc": {"$gt": 0.2}}, [4]),
    (["metadata.acc<0.2"], {"metadata.acc": {"$lt": 0.2}}, [0, 1]),
    (["metadata.acc<=0.2", "metadata.acc>0"], {"metadata.acc": {"$lte": 0.2, "$gt": 0}}, [1, 2]),
    (["metadata.cfg.lr==1"], {"metadata.cfg.lr": 1}, [0]),
    (["metadata.even=true"], {"metadata.even": True}, [0, 2, 4]),
    (["metadata.missing=null"], {"metadata.missing": None}, [0, 1, 2, 4]),
    (["metadata.day>2026-11-02"], {"metadata.day": {"$gt": "2026-11-02"}}, [2, 4]),
    (["description=~number [01]"], {"description": {"$regex": "number [01]"}}, [0, 1]),
    (["size>1"], {"size": {"$gt": 1}}, [2, 4]),
    (["file_count=1"], {"file_count": 1}, [0, 1, 2, 4]),
    ([f"created_at>{YESTERDAY}"], {"created_at": {"$gt": YESTERDAY}}, [0, 1, 2, 4]),
    ([f"created_at<{TOMORROW}T00:00:00Z"], {"created_at": {"$lt": f"{TOMORROW}T00:00:00Z"}}, [0, 1, 2, 4]),
    ([f"created_at>{TOMORROW} 10:00"], {"created_at": {"$gt": f"{TOMORROW} 10:00"}}, []),
    (['{"$or": [{"version": "v0"}, {"tags": "good"}]}'], {"$or": [{"version": "v0"}, {"tags": "good"}]}, [0, 2]),
    (["metadata.n>0", '{"metadata.n": {"$nin": [1]}}'], {"metadata.n": {"$gt": 0, "$nin": [1]}}, [2, 4]),
]


def test_the_same_versions_fit_through_the_api_and_the_command_line(filled: Path, cli: Cli) -> None:
    wrong = []
    for texts, condition, numbers in CASES:
        api = [int(one.version[1:]) for one in wandb.Api().artifacts(name="data", order="+version", filters=condition)]
        of_collection = wandb.Api().artifact_collection(name="data").artifacts(filters=condition)
        flags = [part for text in texts for part in ("--where", text)]
        done = cli("ls", "data", *flags, "--json", cwd=filled)
        by_command = [int(one["spec"].rpartition(":v")[2]) for one in json.loads(done.out)] if not done.code else done
        other = [int(one.version[1:]) for one in of_collection][::-1]
        if not api == by_command == other == numbers:
            wrong.append((texts, condition, numbers, api, other, by_command))
    assert wrong == []


@pytest.mark.parametrize(("text", "numbers"), [("tags=2024", [0]), ("tag==2024", [0]), ("tags!=2024", [1, 2, 4])])
def test_what_is_always_text_is_compared_as_text_though_it_reads_as_a_number(
    filled: Path, cli: Cli, text: str, numbers: list[int]
) -> None:
    done = json.loads(cli("ls", "data", "--where", text, "--json", cwd=filled).out)
    assert [int(one["spec"].rpartition(":v")[2]) for one in done] == numbers


def test_dates_of_metadata_are_compared_with_dates_and_their_text(filled: Path) -> None:
    for day in (datetime.date(2026, 11, 2), datetime.datetime(2026, 11, 2, 12), "2026-11-02"):
        fitting = wandb.Api().artifacts(name="data", filters={"metadata.day": {"$gt": day}})
        assert [one.version for one in fitting] == ["v4", "v2"], day


def test_conditions_look_at_all_artifacts_or_those_of_a_project_or_type(filled: Path, cli: Cli) -> None:
    with wandb.init(project="second") as run:
        run.log_artifact(draft("data", "2", type="dataset"))

    def found(*args: str) -> list[str]:
        done = cli("ls", *args, "--json", cwd=filled)
        assert done.code == 0, done
        return [one["spec"].partition("/")[2] for one in json.loads(done.out)]

    newest = ["second/data:v0", "uncategorized/data:v4", "uncategorized/other:v0"]
    assert sorted(found("--where", "alias=latest")) == newest
    assert found("--where", "alias=latest", "--type", "model") == ["uncategorized/other:v0"]
    assert found("--where", "alias=latest", "--project", "second") == ["second/data:v0"]
    assert found("second/", "--where", "alias=latest") == ["second/data:v0"]
    assert found("--where", "project=second") == ["second/data:v0"]
    nothing = cli("ls", "--where", "name=none", cwd=filled)
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "no matching versions\n")
    table = cli("ls", "data", "--where", "tags=good", cwd=filled)
    assert table.out.splitlines()[0].split()[0] == "VERSION" and "data:v2" in table.out and "best" in table.out


def test_conditions_on_a_single_version_are_refused_or_look_at_that_one_only(filled: Path, cli: Cli) -> None:
    done = cli("ls", "data:v0", "--where", "name=data", "--json", cwd=filled)
    assert done.code != 0 or [one["spec"][-2:] for one in json.loads(done.out)] == ["v0"]


@pytest.mark.parametrize(
    "text",
    [
        "metadata.acc", "=1", "", "nothing=1", "metadat.acc=1", "name~(", "{", '{"$xor": []}', '{"name": {"$gt": [1]}}', "[1]",
        "created_at>yesterday", "size>big", "{" * 5000, '{"a":' * 5000,
    ],
)  # fmt: skip
def test_a_condition_that_is_none_is_one_sentence_and_a_hint(filled: Path, cli: Cli, text: str) -> None:
    done = cli("ls", "data", "--where", text, cwd=filled)
    assert done.code != 0 and done.out == ""
    assert done.err.startswith(("error:", "Error:", "Usage:", "usage:")) and len(done.err) < 1000


@pytest.mark.parametrize("text", ["metadata.acc", "size", "config.lr"])
def test_a_condition_whose_sign_a_shell_took_is_refused_with_quotes_shown(filled: Path, cli: Cli, text: str) -> None:
    for command in (("ls", "data"), ("runs", "ls")):
        done = cli(*command, "--where", text, cwd=filled)
        assert done.code == 3 and done.err.startswith(f"error: '{text}' is not a condition\n")
        assert f"hint: quote it, or the shell reads < and > itself: '{text}>=VALUE'" in done.err


SIGNS = {
    "metadata.loss=>1": ("=>", "metadata.loss>=1"), "size =<3": ("=<", "size<=3"), "tags<>x": ("<>", "tags!=x"),
    "tags=!x": ("=!", "tags!=x"), "name~=d": ("~=", "name=~d"), "name===data": ("===", "name=data"),
}  # fmt: skip


@pytest.mark.parametrize("text", SIGNS)
def test_a_sign_that_is_none_is_refused_with_the_right_one(filled: Path, cli: Cli, text: str) -> None:
    sign, meant = SIGNS[text]
    for command in (("ls", "data"), ("runs", "ls")):
        done = cli(*command, "--where", text, cwd=filled)
        assert (
            done.code == 3 and f"error: '{sign}' in '{text.replace(' ', '')}' is not a sign of conditions" in done.err
        )
        assert f"hint: did you mean '{meant}'? " in done.err


def test_a_value_that_begins_with_a_sign_is_compared_as_json(filled: Path, cli: Cli) -> None:
    log(draft("marked", metadata={"text": "<b>"}))
    done = cli("ls", "--where", 'metadata.text="<b>"', cwd=filled)
    assert done.code == 0 and "marked:v0" in done.out
    assert cli("ls", "--where", "description~<b>", cwd=filled).code == 0


def test_an_order_without_a_value_is_refused(filled: Path, cli: Cli) -> None:
    done = cli("ls", "data", "--where", "metadata.acc<", cwd=filled)
    assert done.code == 3 and done.err.startswith("error: 'metadata.acc<' has no value to compare with\n")


def test_an_empty_answer_names_the_keys_that_nothing_has_and_similar_ones(filled: Path, cli: Cli) -> None:
    with wandb.init(config={"rate": 0.1}, id="r"):
        pass
    answers = {
        (
            "ls",
            "metadata.ac<1",
        ): "no matching versions; no version has 'metadata.ac'\nhint: did you mean 'metadata.acc'?\n",
        ("ls", "metadata.cfg.l=1"): (
            "no matching versions; no version has 'metadata.cfg.l'\nhint: did you mean 'metadata.cfg.lr' or 'metadata.cfg'?\n"
        ),
        ("ls", "metadata.acc>7"): "no matching versions\n",
        ("ls", "name=da*"): "no matching versions\nhint: = compares the whole text; a pattern is 'name~^da.*$'\n",
        ("runs ls", "config.rat<1"): "no matching runs; no run has 'config.rat'\nhint: did you mean 'config.rate'?\n",
        ("runs ls", "name=*"): "no matching runs\nhint: = compares the whole text; a pattern is 'name~^.*$'\n",
    }
    for (command, condition), said in answers.items():
        done = cli(*command.split(), "--where", condition, cwd=filled)
        assert (done.code, done.out, done.err) == (0, "", said)
        quiet = said if "hint" in said else ""
        done = cli(*command.split(), "--where", condition, "--json", cwd=filled)
        assert (done.code, done.out, done.err) == (0, "[]\n", quiet)
    assert cli("runs", "ls", "--where", "config.rat<1", "--columns", "state", cwd=filled).err.startswith(
        "no matching runs; "
    )


OTHER_KINDS = {
    ("ls", "metadata.acc<abc"): "'metadata.acc' holds numbers, and 'abc' is text",
    ("ls", "metadata.acc=abc"): "'metadata.acc' holds numbers, and 'abc' is text",
    ("ls", "metadata.acc~^0"): "'metadata.acc' holds numbers, and '^0' is text",
    ("ls", "metadata.ok=yes"): "'metadata.ok' holds true or false, and 'yes' is text",
    ("ls", "metadata.ok>0"): "'metadata.ok' holds true or false, and '0' is a number",
    ("ls", "name>5"): "'name' holds text, and '5' is a number",
    ("ls", "metadata.cfg=lr"): "'metadata.cfg' holds objects, and 'lr' is text",
    ("runs ls", "config.rate<abc"): "'config.rate' holds numbers, and 'abc' is text",
    ("runs ls", "state>1"): "'state' holds text, and '1' is a number",
}


def test_an_empty_answer_says_that_a_value_is_of_another_kind_than_those_there(filled: Path, cli: Cli) -> None:
    log(draft("flag", metadata={"ok": True}))
    with wandb.init(config={"rate": 0.1}, id="r"):
        pass
    for (command, condition), why in OTHER_KINDS.items():
        done = cli(*command.split(), "--where", condition, "--json", cwd=filled)
        noun = "runs" if command == "runs ls" else "versions"
        assert (done.code, done.out, done.err) == (0, "[]\n", f"no matching {noun}; {why}\n"), condition
    for mixed in ("metadata.acc>7", "tags=none", "created_at>2999", "metadata.acc!=abc"):
        assert "holds" not in cli("ls", "--where", mixed, cwd=filled).err
    for wrong in ("size>abc", "created_at<abc"):
        assert cli("ls", "--where", wrong, cwd=filled).code == 3


def test_python_warns_of_a_value_of_another_kind_too(filled: Path) -> None:
    said = "the filter found nothing, because 'metadata.acc' holds numbers, and 'abc' is text"
    with pytest.warns(UserWarning, match=f"^{said}$") as told:
        assert len(wandb.Api().artifacts(name="data", filters={"metadata.acc": {"$lt": "abc"}})) == 0
    assert told[0].filename == __file__
    with wandb.init(config={"rate": 0.1}):
        pass
    with pytest.warns(UserWarning, match="'config.rate' holds numbers, and 'abc' is text"):
        assert len(wandb.Api().runs(filters={"$or": [{"config.rate": "abc"}]})) == 0


def test_a_field_that_there_is_not_is_refused_even_if_there_is_no_version(here: Path, cli: Cli) -> None:
    log(draft())
    done = cli("ls", "--type", "none", "--where", "nmae=1", cwd=here)
    assert done.code == 3 and "error: there is no field 'nmae' to filter by\nhint: did you mean 'name'?" in done.err


def test_python_warns_of_a_filter_whose_key_is_nearly_one_that_there_is(filled: Path) -> None:
    with wandb.init(config={"rate": 0.1}):
        pass
    api, said = wandb.Api(), "because nothing has 'metadata.ac'; did you mean 'metadata.acc'?"
    with pytest.warns(UserWarning, match=said):
        assert len(api.artifacts(name="data", filters={"metadata.ac": {"$lt": 1}})) == 0
    with pytest.warns(UserWarning, match=said):
        assert len(api.artifact_collection(name="data").artifacts(filters={"metadata.ac": 1})) == 0
    with pytest.warns(UserWarning, match=said):
        assert len(api.artifact_collections().versions({"metadata.ac": 1})) == 0  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="nothing has 'config.rat'; did you mean 'config.rate'?"):
        assert len(api.runs(filters={"config.rat": 1})) == 0
    assert (
        len(api.runs(filters={"config.of_other_runs": 1}))
        == len(api.artifacts(name="data", filters={"metadata.acc": 7}))
        == 0
    )


def test_the_same_mistake_is_a_typed_error_of_the_api(filled: Path) -> None:
    for condition in ({"nothing": 1}, {"name": {"$gtt": 1}}, "name", {"created_at": {"$gt": "yesterday"}}):
        with pytest.raises(ValueError):
            list(wandb.Api().artifacts(name="data", filters=condition))  # type: ignore[arg-type]


# -- dates -----------------------------------------------------------------------------------------------------------


def test_moments_are_compared_as_moments_wherever_they_were_told(filled: Path) -> None:
    """With an offset, as datetimes, with and without fractions."""
    api, hour = wandb.Api(), datetime.timedelta(hours=1)
    created = datetime.datetime.fromisoformat(api.artifact("data:v4").created_at)
    if created.tzinfo is None:
        created = created.replace(tzinfo=datetime.UTC)

    def count(**condition: Any) -> int:
        return len(api.artifacts(name="data", filters={"created_at": {f"${k}": v for k, v in condition.items()}}))

    east = datetime.timezone(datetime.timedelta(hours=9))
    assert count(gt=(created - hour).isoformat(), lt=(created + hour).isoformat()) == 4
    assert count(gt=(created - hour).astimezone(east).isoformat()) == 4
    assert count(lt=(created + hour).astimezone(east).isoformat()) == 4
    assert count(gt=(created + hour).astimezone(east).isoformat()) == 0
    assert count(gt=created - hour, lt=created + hour) == 4


# -- collections -----------------------------------------------------------------------------------------------------


def test_collections_are_filtered_by_what_is_said_of_them(filled: Path) -> None:
    api = wandb.Api()
    other = api.artifact_collection("model", "other")
    other.tags, other.description = ["shipped"], "what we ship"
    other.save()

    def found(condition: dict[str, Any]) -> list[str]:
        return [one.name for one in api.artifact_collections(filters=condition)]

    assert found({"name": {"$regex": "^d"}}) == ["data"]
    assert found({"tag": "shipped"}) == found({"type": "model"}) == ["other"]
    assert found({"alias": "best"}) == ["data"]
    assert found({"description": {"$contains": "ship"}, "size": {"$gte": 1}}) == ["other"]
    assert found({"created_at": {"$gte": YESTERDAY}}) == ["data", "other"]
    assert found({"$nor": [{"type": "model"}]}) == ["data"]
    with pytest.raises(ValueError, match="no field 'metadata.x'"):
        found({"metadata.x": 1})


def test_a_project_beside_a_spec_is_refused_instead_of_ignored(filled: Path, cli: Cli) -> None:
    for more in ((), ("--where", "version=v0"), ("--deleted",)):
        done = cli("ls", "data", "--project", "second", *more, cwd=filled)
        assert done.code == 3 and done.err.startswith(
            "error: --project can't be combined with SPEC\nhint: put it before"
        )
