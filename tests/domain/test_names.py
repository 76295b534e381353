"""Names, specs and paths: what is allowed, what is refused, and how names become file names."""

from collections.abc import Callable
from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artstore.domain.names import (
    DEFAULT_ENTITY,
    DEFAULT_PROJECT,
    Spec,
    as_project,
    check_alias,
    check_component,
    check_name,
    check_new_alias,
    check_project,
    check_tag,
    check_tags,
    check_type,
    collection_named,
    file_name_of,
    is_protected,
    listed,
    name_from,
    normal_path,
    parse_path,
    parse_spec,
    printable,
    registry_project,
    windows_problem,
)
from artstore.domain.wording import near
from artstore.errors import InvalidType, InvalidValue


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("n", Spec(None, None, "n")),
        ("p/n:prod", Spec(None, "p", "n", "prod")),
        ("e/p/n:v12", Spec("e", "p", "n", number=12)),
        ("n@0123abcd", Spec(None, None, "n", digest="0123abcd")),
        ("n@abcd", Spec(None, None, "n", digest="abcd")),
        ("n@" + "ab" * 32, Spec(None, None, "n", digest="ab" * 32)),
        ("<example>/n:latest", Spec(None, "<example>", "n", "latest")),
        ("p/two words:a b", Spec(None, "p", "two words", "a b")),
    ],
)
def test_a_spec_is_parsed_into_its_parts(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/b/c/d",
        "n@xyz",
        "n@abc",
        "n@" + "a" * 65,
        "n@abcd@abcd",
        "n@ABCD",
        "n:",
        "n:a:b",
        "n:a@b",
        "a//n",
        "p/..",
        "p?/n",
        "/n",
        "n/",
    ],
)
def test_a_spec_that_breaks_a_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_spec(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n@xyz", "'xyz' in 'n@xyz' is not a digest prefix of 4 to 64 lower-case hex digits"),
        ("a/b/c/d", "'a/b/c/d' has too many parts: a spec is [[entity/]project/]name[:alias|:vN|@digest]"),
        ("e?/p/n", "entity 'e?' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones"),
        ("p?/n", "project 'p?' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones"),
    ],
)
def test_the_message_names_the_part_of_a_spec_and_the_rule(text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as error:
        parse_spec(text)
    assert str(error.value) == said


def test_what_is_no_text_is_no_spec_and_no_tag() -> None:
    with pytest.raises(InvalidType, match="a spec is text such as 'data:latest', not 7"):
        parse_spec(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="a tag must be text, not 7"):
        check_tag(7)  # type: ignore[arg-type]


def test_a_spec_names_a_version_by_alias_number_or_digest_and_else_a_collection() -> None:
    assert all(parse_spec(text).names_version for text in ("n:prod", "n:v0", "n@abcd"))
    assert not any(parse_spec(text).names_version for text in ("n", "p/n", "e/p/n"))


def test_what_is_not_said_is_local_and_uncategorized() -> None:
    assert (DEFAULT_ENTITY, DEFAULT_PROJECT) == ("local", "uncategorized")


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
    with pytest.raises(InvalidValue, match="longer than 240 bytes once percent-encoded"):
        check_name("é" * 40 + "a")


def test_letters_that_are_written_with_marks_are_letters() -> None:
    for name in ("हिन्दी", "ไทย", "हिन्दी_v1.2-x ไทย", "x\u0323\u0302"):
        assert check_name(name)
    for bad in ("\u0902", "a \u0902", "हिन्दी!", "हिन्दी  x"):  # a mark needs a letter before it
        with pytest.raises(InvalidValue, match="artifact name"):
            check_name(bad)


def test_types_follow_the_rule_of_names_and_reserved_ones_are_refused() -> None:
    assert check_type("e\u0301") == "é"
    with pytest.raises(InvalidValue, match="type 'a/b' is not allowed"):
        check_type("a/b")
    with pytest.raises(InvalidValue, match="type 'artstore-internal' is not allowed: .* 'artstore-' are reserved"):
        check_type("artstore-internal")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("data.csv", "data.csv"),
        ("my data (1).csv", "my-data-1-.csv"),
        ("?what?", "what"),
        ("e\u0301té", "été"),
        ("x" * 200, "x" * 128),
        ("é" * 100, "é" * 40),
        ("???", "unnamed"),
        (".", "unnamed"),
        ("..", "unnamed"),
    ],
)
def test_a_name_is_made_of_any_text(text: str, name: str) -> None:
    assert name_from(text) == name and check_name(name) == name


@pytest.mark.parametrize(
    "alias", ["", "a/b", "a:b", "a@b", "v0", "v17", "ab" * 32, "a\nb", "x" * 129, " ", "a ", " a", "V1", "v1 "]
)
def test_aliases_that_read_like_something_else_are_refused(alias: str) -> None:
    with pytest.raises(InvalidValue, match="[aA]lias"):
        check_alias(alias)


def test_aliases_and_tags_that_unicode_calls_equal_are_one() -> None:
    assert check_alias("cafe\u0301") == check_tag("cafe\u0301") == parse_spec("n:cafe\u0301").alias == "caf\u00e9"


def test_a_hint_shows_the_form_of_a_name_that_looks_the_same() -> None:
    assert near("caf\u00e9", ["cafe\u0301"]) == (
        r"did you mean 'cafe\u0301'? It has the same letters in another Unicode form"
    )


@pytest.mark.parametrize("alias", ["best", "v1.0", "v", "a b", "Ä", "ab" * 31, "xy" * 32, "x" * 128, "latest"])
def test_other_aliases_are_allowed(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize(
    "project", ["", ".", "..", "a/b", "a\\b", "a#", "a?", "a%", "a:", "a\x7f", "a\ud800", "x" * 129]
)
def test_projects_that_break_the_rule_are_refused(project: str) -> None:
    with pytest.raises(InvalidValue, match="project"):
        check_project(project)


def test_projects_are_other_text_of_up_to_128_characters() -> None:
    for project in ("x" * 128, "my project!", "(a) <b>"):
        assert check_project(project) == project
    assert check_project("e\u0301") == "é"


def test_a_registry_goes_by_several_names() -> None:
    assert {registry_project(name) for name in ("x", "registry-x", "wandb-registry-x")} == {"registry-x"}
    assert as_project("wandb-registry-x") == "registry-x"
    assert as_project("wandb-x") == "wandb-x"
    assert as_project("registry-x") == "registry-x"


def test_tags_have_up_to_128_characters() -> None:
    assert check_tag("x" * 128) == "x" * 128
    with pytest.raises(InvalidValue, match="tag"):
        check_tag("x" * 129)


@pytest.mark.parametrize("check", [check_name, check_project, check_alias, check_tag])
def test_a_message_shows_the_beginning_of_a_long_name(check: Callable[[str], object]) -> None:
    with pytest.raises(InvalidValue) as error:
        check("x" * 10_000)
    assert "x" * 140 in str(error.value) and "x" * 141 not in str(error.value)


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


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "it is empty"),
        ("a/" * (1 << 19) + "a", "it is over a megabyte long"),
        ("/a", "'/a' is absolute"),
        ("x/" * 256 + "x", f"'{'x/' * 40}…' has more than 256 levels"),
        ("a/\ud800", "'a/\\ud800' is not valid Unicode"),
        ("a/" + "x" * 400, f"'{'x' * 300}' is not a file name"),
        ("a\\..", "'a\\..' climbs out of its folder on some systems"),
        ("C:a", "'C:a' begins with a drive letter"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_path(path: str, said: str) -> None:
    with pytest.raises(InvalidValue) as error:
        parse_path(path)
    assert str(error.value) == f"Invalid artifact path: {said}"


def test_the_longest_name_and_the_deepest_and_longest_paths_are_allowed() -> None:
    assert parse_path("x" * 255) == (b"x" * 255,)
    assert len(parse_path("/".join("a" * 256))) == 256
    with pytest.raises(InvalidValue, match="is not a file name"):  # as long as a path may be, so looked at
        parse_path("x" * (1 << 20))


def test_one_name_is_checked_as_a_path_is() -> None:
    assert check_component(b"C:\\x") == b"C:\\x"
    for bad in (b"", b".", b"..", b"a/b", b"a\0", b"\\a", b"a\\..", b"x" * 256):
        with pytest.raises(InvalidValue):
            check_component(bad)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("a/b", "a/b"),
        ("./a", "a"),
        ("a/./b/", "a/b"),
        ("a//b", "a/b"),
        ("a/", "a"),
        ("a/.", "a"),
        (".", "."),
        ("/a/", "/a"),
        ("../a", "../a"),
        ("a/../b", "a/../b"),
        (PurePosixPath("a/b"), "a/b"),
        (PureWindowsPath("a\\b"), "a/b"),
    ],
)
def test_the_ways_to_write_a_path_are_one(path: str | PurePath, normal: str) -> None:
    assert normal_path(path) == normal


def test_folders_that_could_pose_as_repositories_are_protected() -> None:
    assert all(map(is_protected, (b".git", b".GIT", b".artifacts", b".Artifacts", b".artifacts.Server")))
    assert not any(map(is_protected, (b"", b"git", b".gitignore", b".artifacts2")))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"plain.txt", None),
        (b" a b", None),
        ("größe".encode(), None),
        (b"console", None),
        (b"x.nul", None),
        (b"a?b", "it has the character '?'"),
        (b"b|a:", "it has the character ':'"),
        (b"a\x1f", "it has a control character, or bytes that are not UTF-8"),
        (b"caf\xe9", "it has a control character, or bytes that are not UTF-8"),
        (b"a.", "it ends with a dot or space"),
        (b"a ", "it ends with a dot or space"),
        (b"aux", "it is the name of a device"),
        (b"NUL.tar.gz", "it is the name of a device"),
        (b"con .txt", "it is the name of a device"),
    ],
)
def test_what_windows_can_not_hold_is_told(name: bytes, problem: str | None) -> None:
    assert windows_problem(name) == problem


@pytest.mark.parametrize("path", [PurePosixPath("a/b"), PureWindowsPath("a\\b"), "a/b", b"a/b"])
def test_all_kinds_of_paths_come_out_posix(path: str | bytes | PurePath) -> None:
    assert parse_path(path) == (b"a", b"b")


def test_odd_but_harmless_names_are_kept_as_they_are() -> None:
    assert parse_path("a\nb/\x1b[0m/caf\udce9/aux/a\\b") == (b"a\nb", b"\x1b[0m", b"caf\xe9", b"aux", b"a\\b")


@given(st.text())
def test_what_is_printed_holds_nothing_that_moves_the_cursor(text: str) -> None:
    shown = printable(text.encode("utf-8", "surrogatepass"))
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe", "größe"),
        (b"gr\xc3\xb6\xc3\x9fe", "größe"),
        ("a\nb", "a\\x0ab"),
        ("\xff\xad", "ÿ\\xad"),
        ("\u0378", "\\u0378"),
        ("\u0100\u202e", "Ā\\u202e"),
        ("\uffff", "\\uffff"),
        ("\U00010000\U000e0001", "𐀀\\U000e0001"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\x80\xff", "\\x80\\xff"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_can_not_be_printed_is_escaped_as_python_does(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


def test_near_names_are_offered_and_far_ones_are_not() -> None:
    assert near("modle", ["model", "data"]) == "did you mean 'model'?"
    assert near("zzz", ["model"]) is None


# -- the part of a spec that names a version -----------------------------------------------------


@pytest.mark.parametrize("ending", ["", ":best", ":v3", "@" + "ab" * 32])
def test_a_spec_is_its_name_and_its_ending(ending: str) -> None:
    assert parse_spec(f"project/data{ending}").ending == ending


def test_what_is_asked_of_an_artifact_names_no_version() -> None:
    assert collection_named("project/data") == "project/data"
    for ending in (":best", ":v3", "@" + "ab" * 32):
        told = f"^'project/data{ending}' names a version; give the artifact alone: project/data"
        with pytest.raises(InvalidValue, match=told) as refused:
            collection_named(f"project/data{ending}", hint="so")
        assert refused.value.hint == "so"


def test_a_single_text_is_no_list_of_texts() -> None:
    assert listed(["a", "b"], "tags") == ("a", "b") and listed((), "tags") == ()
    with pytest.raises(InvalidType, match=r"^tags must be a list or tuple, such as \['ab'\], not the text 'ab'$"):
        listed("ab", "tags")
    with pytest.raises(InvalidType, match="^tags must be a list"):
        check_tags("ab")


def test_what_a_name_may_be_is_said_when_it_is_refused() -> None:
    for check, text, rule in (
        (check_name, "", "1 to 128 letters"),
        (check_alias, "a/b", "must not contain any of the following characters: '/', ':'"),
        (check_alias, "a@b", "1 to 128 characters, none of / : @"),
        (check_alias, "v1", "it reads like a version number or a digest"),
        (check_alias, "V1", "it reads like a version number or a digest"),
        (check_new_alias, "LATEST", "it differs from 'latest', the newest version, only by case"),
        (check_tag, "a/b", "words of letters, digits"),
    ):
        with pytest.raises(InvalidValue, match=rule):
            check(text)
