"""Names, specs and paths: what is allowed, what is refused, and how names become file names."""

from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artstore.errors import InvalidValue
from artstore.hints import near
from artstore.names import (
    Spec,
    check_alias,
    check_name,
    check_project,
    check_tags,
    check_type,
    file_name_of,
    parse_path,
    parse_spec,
    printable,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("n", Spec(None, None, "n")),
        ("p/n:prod", Spec(None, "p", "n", "prod")),
        ("e/p/n:v12", Spec("e", "p", "n", number=12)),
        ("n@0123abcd", Spec(None, None, "n", digest="0123abcd")),
        ("<example>/n:latest", Spec(None, "<example>", "n", "latest")),
        ("p/two words:a b", Spec(None, "p", "two words", "a b")),
    ],
)
def test_a_spec_is_parsed_into_its_parts(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text", ["", "/", "a/b/c/d", "n@xyz", "n@ab", "n@ABCD", "n:", "n:a:b", "n:a@b", "a//n", "p/..", "p?/n", "/n", "n/"]
)
def test_a_spec_that_breaks_a_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_spec(text)


@pytest.mark.parametrize(
    "name", ["", ".", "..", " a", "a ", "a  b", "a/b", "a:b", "a\n", "a\tb", "x" * 129, "é" * 81, "a*", "a\x00"]
)
def test_artifact_names_that_break_the_rule_are_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="artifact name"):
        check_name(name)


def test_artifact_names_are_unicode_words_in_nfc() -> None:
    assert check_name("Größe_v1.2-final x") == "Größe_v1.2-final x"
    assert check_name("e\u0301") == "é"
    assert check_name("x" * 128) == "x" * 128
    assert check_name("é" * 40) == "é" * 40  # 6 bytes each once encoded: 240


def test_reserved_types_are_refused() -> None:
    with pytest.raises(InvalidValue, match="reserved"):
        check_type("artstore-internal")


@pytest.mark.parametrize("alias", ["", "a/b", "a:b", "a@b", "v0", "v17", "ab" * 32, "a\nb", "x" * 129])
def test_aliases_that_read_like_something_else_are_refused(alias: str) -> None:
    with pytest.raises(InvalidValue, match="alias"):
        check_alias(alias)


@pytest.mark.parametrize("alias", ["best", "v1.0", "v", "a b", "Ä", "ab" * 31, "latest"])
def test_other_aliases_are_allowed(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize("project", ["", ".", "..", "a/b", "a\\b", "a#", "a?", "a%", "a:", "a\x7f", "x" * 129])
def test_projects_that_break_the_rule_are_refused(project: str) -> None:
    with pytest.raises(InvalidValue, match="project"):
        check_project(project)


def test_tags_keep_their_order_and_lose_duplicates() -> None:
    assert check_tags(["b", "a b", "b", "c-d_e"]) == ["b", "a b", "c-d_e"]
    for bad in ("", " a", "a  b", "a,b", "a/b"):
        with pytest.raises(InvalidValue, match="tag"):
            check_tags([bad])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Model", "model"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("a b", "a%20b"),
        (".hidden", "%2Ehidden"),
        ("end.", "end%2E"),
        ("CON", "%63on"),
        ("nul.txt", "%6Eul.txt"),
        ("COM¹", "%63om%C2%B9"),
        ("console", "console"),
        ("a~b", "a%7Eb"),
        ("x.lock", "x.lock"),
    ],
)
def test_a_name_becomes_one_file_name_on_every_system(name: str, file: str) -> None:
    assert file_name_of(name) == file


@given(st.text(min_size=1, max_size=30))
def test_file_names_are_safe_and_fold_case(name: str) -> None:
    try:
        check_project(name)
    except InvalidValue:
        return
    file = file_name_of(name)
    assert file.isascii() and file == file_name_of(name.swapcase().swapcase())
    assert not set(file) & set('/\\:*?"<>| ') and file not in (".", "..") and not file.endswith(".")


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/a", "//h/s", "a/../b", "../a", "a/..", "a//b", "./a", "a/", "a/./b", "C:a", "c:/a", "C:\\a", "\\a", "\\\\h\\s", "a\\..\\b", "a\x00b", "x" * 256, "/".join("a" * 257)],
)  # fmt: skip
def test_paths_that_could_climb_or_mean_two_things_are_refused(path: str) -> None:
    with pytest.raises(InvalidValue, match="Invalid artifact path"):
        parse_path(path)


@pytest.mark.parametrize("path", [PurePosixPath("a/b"), PureWindowsPath("a\\b"), "a/b", b"a/b"])
def test_all_kinds_of_paths_come_out_posix(path: str | bytes | PurePath) -> None:
    assert parse_path(path) == (b"a", b"b")


def test_odd_but_harmless_names_are_kept_as_they_are() -> None:
    assert parse_path("a\nb/\x1b[0m/caf\udce9/aux/a\\b") == (b"a\nb", b"\x1b[0m", b"caf\xe9", b"aux", b"a\\b")


@given(st.text())
def test_what_is_printed_holds_nothing_that_moves_the_cursor(text: str) -> None:
    shown = printable(text.encode("utf-8", "surrogatepass"))
    assert shown.isprintable()


def test_near_names_are_offered_and_far_ones_are_not() -> None:
    assert near("modle", ["model", "data"]) == "did you mean 'model'?"
    assert near("zzz", ["model"]) is None
