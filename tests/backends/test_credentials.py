"""Tokens for served repositories: which is sent to which address, and where they are kept."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.credentials import ADDRESS, TOKEN, Origin, forget, remember, token_for
from artstore.backends.served.opening import hello_to
from artstore.errors import InvalidValue, NotFound

SECRET, OTHER = "art_0123abcd_" + "s" * 43, "art_89abcdef_" + "o" * 43
HOST = "https://store.example"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (TOKEN, ADDRESS, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path


def file_of(home: Path) -> Path:
    return home / ".config/artstore/credentials"


# -- origins -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Store.Example/team", "https://store.example:443"),
        ("HTTPS://store.example:443", "https://store.example:443"),
        ("https://store.example:8443/", "https://store.example:8443"),
        ("http://localhost", "http://localhost:80"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
        ("https://store.example.", "https://store.example.:443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert str(Origin.of(url)) == origin and Origin.of(origin) == Origin.of(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "store.example", "ftp://store.example", "https://", "https:///x", "https://store.example:0", "https://store.example:65536",
        "https://store.example:x", "https://a b", "https://store.example\n", "https://store.exa\tmple", "https://ſtore.example",
        "https://good.example\\@evil.example", "https://good.example#@evil.example", "https://store.example?x", "https://[::1",
        "s3://bucket/x", "https://störe.example",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        Origin.of(url)


@pytest.mark.parametrize(
    "url", [f"https://ada:{SECRET}@store.example", f"https://{SECRET}@store.example", "https://@host"]
)
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(
        InvalidValue, match="^the address of a served repository must not hold a user or password"
    ) as error:
        token_for(url, given=True)
    assert "sss" not in f"{error.value} {error.value.hint}"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "[::1]"])
def test_over_plain_http_a_token_goes_to_this_host(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    assert token_for(f"http://{host}:8000", given=True) == SECRET


@pytest.mark.parametrize(
    "host",
    [
        "store.example", "localhost.evil.example", "localhost.", "127.0.0.1.evil.example", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0",
        "[::ffff:127.0.0.1]", "[::]", "10.0.0.1", "localhosts", "mylocalhost",
    ],
)  # fmt: skip
def test_over_plain_http_a_token_goes_to_no_other_host(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert token_for(f"http://{host}", given=True) is None, "without a token nothing is refused"
    monkeypatch.setenv(TOKEN, SECRET)
    with pytest.raises(
        InvalidValue, match="^a token is not sent to http://.*, because everybody on the way could read it"
    ):
        token_for(f"http://{host}", given=True)
    with pytest.raises(InvalidValue, match="everybody on the way"):
        remember(f"http://{host}", SECRET)
    with pytest.raises(InvalidValue, match="is not encrypted: a token would be sent where others can read it"):
        hello_to(f"http://{host}", SECRET)


# -- which token goes where ----------------------------------------------------------------------


def test_the_token_of_the_environment_goes_only_to_an_address_that_the_user_gave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    assert token_for(HOST, given=True) == SECRET
    assert token_for(HOST, given=False) is None


def test_the_token_of_the_environment_goes_to_the_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    monkeypatch.setenv(ADDRESS, f"{HOST}/team")
    assert token_for(f"{HOST}:443/other", given=False) == SECRET
    for other in (
        "https://store.example:8443",
        "https://store.example.evil",
        "https://evil.example",
        "http://localhost:443",
    ):
        assert token_for(other, given=False) is None, other
    monkeypatch.setenv(ADDRESS, "no address")
    assert token_for(HOST, given=False) is None


def test_a_stored_token_goes_to_its_origin_whoever_names_that(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(f"{HOST}/team", SECRET)
    assert token_for(HOST, given=False) == token_for("https://STORE.example:443/x", given=True) == SECRET
    for other in (
        "https://store.example:8443",
        "http://localhost",
        "https://store.example.evil",
        "https://xstore.example",
    ):
        assert token_for(other, given=True) is None
    monkeypatch.setenv(TOKEN, OTHER)
    assert (token_for(HOST, given=True), token_for(HOST, given=False)) == (OTHER, SECRET)


@pytest.mark.parametrize("token", [f"{SECRET}\nX-Evil: 1", f"{SECRET} ", "tökен", "x" * 5000])
def test_a_token_that_would_break_a_header_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(
        InvalidValue, match="^ARTSTORE_TOKEN of the environment is not a token: it is one line"
    ) as error:
        token_for(HOST, given=True)
    assert token[:20] not in str(error.value)


# -- keeping them --------------------------------------------------------------------------------


def test_a_file_that_only_this_user_reads_keeps_tokens_by_origin(home: Path) -> None:
    before = os.umask(0)
    try:
        assert remember(HOST, SECRET) == str(file_of(home))
    finally:
        os.umask(before)
    remember("http://localhost:8000", OTHER)
    assert stat.S_IMODE(file_of(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(home).parent.stat().st_mode) == 0o700
    assert json.loads(file_of(home).read_text()) == {
        "https://store.example:443": SECRET,
        "http://localhost:8000": OTHER,
    }
    forget(f"{HOST}/any/path")
    assert token_for(HOST, given=True) is None and token_for("http://localhost:8000", given=True) == OTHER
    with pytest.raises(NotFound, match="^there is no token stored for https://store.example:443"):
        forget(HOST)


def test_a_file_that_others_can_read_or_that_is_a_link_is_not_used(home: Path) -> None:
    remember(HOST, SECRET)
    for mode in (0o640, 0o604, 0o620):
        file_of(home).chmod(mode)
        with pytest.raises(InvalidValue, match="must be yours alone"):
            token_for(HOST, given=True)
    file_of(home).chmod(0o600)
    file_of(home).rename(home / "elsewhere")
    file_of(home).symlink_to(home / "elsewhere")
    with pytest.raises(InvalidValue, match="must be yours alone"):
        token_for(HOST, given=True)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": "b\\nc"}', "[" * 100_000, "\x00"])
def test_a_file_that_is_not_ours_is_refused_without_showing_what_is_in_it(home: Path, text: str) -> None:
    file_of(home).parent.mkdir(parents=True)
    file_of(home).write_text(text)
    file_of(home).chmod(0o600)
    with pytest.raises(InvalidValue, match="is not a file of tokens") as error:
        token_for(HOST, given=True)
    assert error.value.hint == "remove it, and log in again" and error.value.__cause__ is None


def of_keyring(monkeypatch: pytest.MonkeyPatch, kind: str, home: Path) -> Path:
    """The system has this kind of keyring."""
    keyring = pytest.importorskip("keyring")
    from tests.support import keyrings

    monkeypatch.setenv("TEST_KEYRING", str(home / "keyring"))
    keyring.set_keyring(getattr(keyrings, kind)())
    return home / "keyring"


@pytest.fixture(autouse=True)
def no_keyring_is_left() -> Any:
    yield
    try:
        import keyring
        from keyring.backends.fail import Keyring
    except ImportError:
        return
    keyring.set_keyring(Keyring())


def test_the_systems_keyring_keeps_a_token_and_the_file_gives_it_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(HOST, OTHER)
    kept = of_keyring(monkeypatch, "InAFile", home)
    assert remember(HOST, SECRET) == "the system's keyring"
    assert (
        SECRET in kept.read_text()
        and SECRET not in file_of(home).read_text()
        and OTHER not in file_of(home).read_text()
    )
    assert token_for(HOST, given=False) == SECRET and token_for(f"{HOST}:444", given=True) is None
    forget(HOST)
    assert SECRET not in kept.read_text() and token_for(HOST, given=True) is None


@pytest.mark.parametrize("kind", ["Locked", "Forgetful"])
def test_a_keyring_that_does_not_keep_it_is_replaced_by_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    of_keyring(monkeypatch, kind, home)
    assert remember(HOST, SECRET) == str(file_of(home))
    assert token_for(HOST, given=False) == SECRET and token_for("https://other.example", given=True) is None
