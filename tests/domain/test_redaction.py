"""Secrets in addresses are known by their form, and what only looks a bit like one is not taken for it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import artstore
from artstore.domain.redaction import Mask, redacted, redacted_arguments, secret_in_uri
from artstore.errors import InvalidValue
from artstore.repository import Repository
from artstore.store.variables import secret_values

SECRET = "s3cr3t-" + "x" * 30
FORMS = {
    "a JSON web token": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{'s' * 43}",
    "GitHub": f"ghp_{'a1B' * 12}",
    "a fine-grained one": f"github_pat_{'a1B_' * 20}",
    "Hugging Face": f"hf_{'aBc' * 11}d",
    "Amazon": "AKIAIOSFODNN7EXAMPLE",
    "Slack": "xoxb-123456789012-abcdefABCDEF",
    "OpenAI": f"sk-{'a1B2' * 12}",
    "a project's": f"sk-proj-{'a1B2' * 12}-{'c3' * 12}",
    "artstore": f"art_0123abcd_{'a-_1B' * 8}xyz",
    "Google": f"AIza{'b_-1c' * 7}",
}


PLACES = ["https://host/x?a={}", "https://host/{}/x", "https://host/x#{}", "s3://b/{}", "https://h/?u=x%253D{}"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_known_by_its_form_wherever_it_is_in_a_uri(place: str, form: str) -> None:
    uri = place.format(FORMS[form])
    assert secret_in_uri(uri) and FORMS[form][8:] not in f"{secret_in_uri(uri)} {redacted(uri)}"
    with pytest.raises(InvalidValue, match="a reference must not hold any") as caught:
        artstore.Artifact("data", type="dataset").add_reference(uri, name="x", checksum=False)
    assert FORMS[form][8:] not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    [
        f"https://hooks.slack.com/services/T0123/B0123/{SECRET}",
        f"https://discord.com/api/webhooks/1234567890/{SECRET}",
        f"https://api.telegram.org/bot123:{SECRET}/getMe",
        f"https://api.telegram.org/file/bot123:{SECRET}/x",
    ],
)
def test_the_address_of_a_hook_or_a_bot_is_a_secret(here: Path, address: str) -> None:
    with pytest.raises(InvalidValue, match="a reference must not hold any") as caught:
        artstore.Artifact("data", type="dataset").add_reference(address, name="x", checksum=False)
    assert SECRET not in f"{caught.value} {caught.value.hint} {redacted(address)}"


HARMLESS = (
    "version versionId generation id row start end page limit offset format download dl rev tag ref path file lang sort "
    "q monkey keyword sortkey partition_key author tokenizer max_tokens pinned spin task sku disk risk country_code code "
    "postcode codec encoding announce pronounce cookiecutter credit creditor samlet status assertions subscription"
)


@given(
    st.sampled_from(HARMLESS.split()),
    st.one_of(
        st.integers().map(str), st.booleans().map(str), st.dates().map(str), st.uuids().map(str),
        st.text("0123456789abcdef", min_size=32, max_size=64), st.text("abcdefghij", max_size=12),
        st.sampled_from(["SP.POP.TOTL.FE.IN.ZS", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"]),
    ),
    st.sampled_from(["https://host/x?{}={}", "https://host/a;{}={}", "s3://bucket/{}={}/x.parquet", "gs://b/k#{}={}"]),
)  # fmt: skip
def test_what_is_no_secret_is_neither_refused_nor_hidden(name: str, value: str, place: str) -> None:
    uri = place.format(name, value if name != "code" else value[:15])
    assert secret_in_uri(uri) is None and redacted(uri) == uri


@pytest.mark.parametrize(
    "path", ["sk-learn-datasets-version-2024", "robots/bot3", "eyJ", "hf_transfer", "ghp_x", "AKIA", "x/task-1"]
)
def test_a_path_that_only_begins_like_a_secret_is_taken(path: str) -> None:
    assert secret_in_uri(f"https://host/{path}/x") is None and redacted(path) == path


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--db-pass", "hunter2"], ["--db-pass", "***"]),
        (["smtp.pass=hunter2"], ["smtp.pass=***"]),
        (["-H", "Authorization: Bearer hunter2"], ["-H", "Authorization: ***"]),
        (["-H", "X-Api-Key: hunter2"], ["-H", "X-Api-Key: ***"]),
        (["sent 'Bearer a1b2c3d4e5f6g7h8i9'"], ["sent 'Bearer ***'"]),
        (["--single-pass", "3", "--low_pass=20", "max_tokens=5"], ["--single-pass", "3", "--low_pass=20", "max_tokens=5"]),
        (["Accept: text/html", "Bearer of good news", "note: all"], ["Accept: text/html", "Bearer of good news", "note: all"]),
    ],
)  # fmt: skip
def test_secrets_among_arguments_are_hidden_by_the_names_of_options_and_headers(
    arguments: list[str], shown: list[str]
) -> None:
    assert redacted_arguments(arguments) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "hunter2-long") for name in ("DB_PASS", "AZURE_PAT", "API_KEYS", "NPM_AUTH", "SESSION_COOKIE", "JWT", "TOKEN_2")),
        ("AZURE_STORAGE_CONNECTION_STRING", "hunter2-long"),
        ("DATABASE_URL", "postgres://user:hunter2-long@host/db"),
    ],
)  # fmt: skip
def test_secrets_of_the_environment_are_known_by_their_names_and_in_urls(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert "hunter2" not in Mask(secret_values())("x hunter2-long y")
    monkeypatch.setenv(name, "postgres://postgres:postgres@host/db" if "URL" in name else "/run/secrets/file")
    assert Mask(secret_values())("in postgres and /run/secrets/file") == "in postgres and /run/secrets/file"


def test_a_secret_of_the_environment_is_not_in_a_runs_command(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2-long")
    monkeypatch.setattr("sys.argv", ["train.py", "hunter2-long", "--key=hunter2-long"])
    artstore.init(id="r").finish()
    with Repository(".artifacts") as repository:
        assert repository.runs.all()[0].command == ["train.py", "***", "--key=***"]
