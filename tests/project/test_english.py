"""Plain English in messages, help, docstrings, comments and pages: the phrases that the code used to have stay out.

A pattern can't judge a sentence, so this finds only what is known. It reads Python by its syntax tree and its tokens, and
the pages' templates without their tags; code in backquotes and examples count as code.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "artstore"

ALLOWED = {
    ("errors.py", "├── FilesDiffer"): "a line of the tree of errors; README's table of exit codes is made from it",
}
"""Why a phrase may stay, by file and by the text around it."""

LONGEST = 120
"""Characters in a line of prose."""

_VOWEL = r"(?=[aeioAEIO]|u(?!ni|rl|s[aeu]|ti|uid))(?!one\b|once\b|one-|eu)"
"""Begins a word that is spoken with a vowel at first."""

PATTERNS = {
    "is no X: write `is not an X`": r"(?<![Tt]here )\b((is|are|was|were|be) no(?! (longer|more|one)\b)|is none(?! of))\b",
    "stands, lies: write `is`": r"\b(stand|stands|stood|lie|lies|lay|lain) (in|on|at|below|above|beside|behind|there|here|elsewhere)\b",
    "told, said: write `reported`, `recorded`, or name the thing": r"\btold\b|\b(is|are|was|were|be) said\b|\bsaid of\b",
    "so many, too: write `N`": r"\bso (many|much)\b|\bmost so\b|(\d|\}) \w+ too($|[.,;:)])",
    "by itself: leave it out, or write `automatically`": r"\bby (itself|themselves)\b",
    "take over: write `import`, `copy`": r"\b(take|takes|took|taken|taking) (\w+ )?over\b",
    "who for a caller: name it": r"\bWho \w|\b(for|of|to|by|from|if|as) who\b",
    "that which: name the thing": r"\bthat which\b",
    "a int: write `an int`": rf"\b[Aa] {_VOWEL}|\b[Aa]n? TYPE\b",
    "an dict: write `a dict`": r"\b[Aa]n (?!fs|mtime|mmap|rsync|hour)[b-df-gj-np-tv-z]",
}
"""Regular expressions by what to write instead."""


class Text(NamedTuple):
    """A piece of prose, and where it is."""

    kind: str
    """docstring, comment, message or page"""
    line: int
    text: str
    before: int = 0
    """characters before the text in its first line; before a comment in each line"""


# -- reading --


def texts_of(source: str) -> Iterator[Text]:
    """Docstrings, comments and messages of a Python file."""
    nodes = list(ast.walk(ast.parse(source)))
    docs = {id(node.value): node.value for node in nodes if _is_text(node)}
    for node in docs.values():
        yield Text("docstring", node.lineno, str(node.value), node.col_offset + 3)
    inside = set(docs)
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            inside |= {id(value) for value in node.values}
            yield Text("message", node.lineno, "".join(map(_part, node.values)))
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield Text("message", node.lineno, node.value)
    yield from _comments(source)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone: a docstring, also of an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _part(value: ast.expr) -> str:
    """A part of an f-string: its text, `TYPE` for the name of a type, `{}` for all else."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    return "TYPE" if "__name__" in ast.unparse(value) else "{}"


def _comments(source: str) -> Iterator[Text]:
    """Comments; those on lines of their own, one below the other, are one text. What tools read is not prose."""
    paragraph: list[Text] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        (line, column), text = (
            token.start,
            re.sub(r"#\s*(type: \S+|noqa: \S+|fmt: \w+)\s*", "", token.string).lstrip("# "),
        )
        alone = not token.line[:column].strip()
        if paragraph and not (alone and line == paragraph[-1].line + 1):
            yield _joined(paragraph)
            paragraph = []
        if alone:
            paragraph.append(Text("comment", line, text, column + 2))
        elif text:
            yield Text("comment", line, text)
    if paragraph:
        yield _joined(paragraph)


def _joined(paragraph: list[Text]) -> Text:
    return paragraph[0]._replace(text="\n".join(text.text for text in paragraph))


def text_of_page(template: str) -> Iterator[Text]:
    """What a template shows: the text between tags, and labels."""
    labels = re.findall(r'(?:aria-label|placeholder|alt|title)="([^"]*)"', template)
    plain = re.sub(
        r"\{%.*?%\}|\{\{.*?\}\}", "{}", re.sub(r"<(script|style).*?</\1>", "", template, flags=re.S), flags=re.S
    )
    for number, line in enumerate(re.sub(r"<[^>]*>", "\n", plain).splitlines(), 1):
        if line.strip():
            yield Text("page", number, line.strip())
    for label in labels:
        yield Text("page", 0, re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "{}", label))


# -- judging --


def faults(text: Text) -> Iterator[str]:
    """What is wrong with a text: the pattern that it matches, and where."""
    prose = _prose(text.text)
    for advice, pattern in PATTERNS.items():
        for match in re.finditer(pattern, prose, re.MULTILINE):
            yield f"{advice} … {prose[max(0, match.start() - 30) : match.end() + 30]!r}"
    if text.kind == "docstring" and re.match(r"As `", text.text):
        yield f"As `x`: say what it does … {text.text[:60]!r}"
    if text.kind in ("docstring", "comment"):
        lines = text.text.splitlines()
        yield from (f"a word alone on a line … {line.strip()!r}" for line in _alone(lines))
        for number, line in enumerate(lines):
            width = len(line) + (text.before if text.kind == "comment" or not number else 0)
            if width > LONGEST:
                yield f"a line of {width} characters … {line.strip()[:60]!r}"


def _prose(text: str) -> str:
    """Without code, and each paragraph on one line: a phrase may go on in the next."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(>>>|\.\.\. )", line)]
    joined = re.sub(r"(?<!\n)\n[ \t]*(?=\S)", " ", "\n".join(lines))
    return re.sub(r"``?[^`\n]*``?", "CODE", joined)


def _alone(lines: list[str]) -> Iterator[str]:
    """Lines of one word that end a paragraph of several lines. What follows `Example:` is code."""
    at = next((number for number, line in enumerate(lines) if line.strip() == "Example:"), len(lines))
    lines = [line for line, is_code in zip(lines[:at], _code(lines), strict=False) if not is_code]
    for before, line, after in zip(lines, lines[1:], [*lines[2:], ""], strict=False):
        deeper = len(line) - len(line.lstrip()) > len(after) - len(after.lstrip())
        ends = not after.strip() or deeper or re.match(r"\s*[\w*, ]+: |\s*- ", after)
        if len(line.split()) == 1 and ends and len(before) > LONGEST // 2 and line.strip() != '"""':
            yield line


def _code(lines: list[str]) -> Iterator[bool]:
    """Whether each line is one of an example: from `>>>` to the next empty line."""
    inside = False
    for line in lines:
        inside = bool(line.strip()) and (inside or line.lstrip().startswith(">>>"))
        yield inside


@cache
def all_faults() -> list[tuple[str, str]]:
    """(file, fault) of the whole package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.*")):
        name = path.relative_to(PACKAGE).as_posix()
        if path.suffix not in (".py", ".html"):
            continue
        read = texts_of if path.suffix == ".py" else text_of_page
        for text in read(path.read_text()):
            for fault in faults(text):
                found.append((name, f"{name}:{text.line}: {fault}"))
    return found


# -- tests --


def allowed(name: str, fault: str) -> tuple[str, str] | None:
    return next((key for key in ALLOWED if key[0] == name and key[1] in fault), None)


def test_no_text_of_the_package_has_a_phrase_that_readers_stop_at() -> None:
    assert [fault for name, fault in all_faults() if allowed(name, fault) is None] == []


def test_each_phrase_that_may_stay_is_still_there() -> None:
    used = {allowed(name, fault) for name, fault in all_faults()}
    assert [key for key in ALLOWED if key not in used] == []
    assert all(reason for reason in ALLOWED.values())


BAD = [
    "a folder is no file", "the path is none", "it stands in another artifact", "files that lie below the folder",
    "what it was told", "what is said of it", "at most so many runs", "14 runs too", "it makes one by itself",
    "take over what others stored", "it took them over", "Who calls it closes it", "it is for who holds the lock",
    "that which is damaged", "a int", "a Artifact", "an dict", "an file",
]  # fmt: skip
GOOD = [
    "there is no file", "it is no longer here", "alias stands for a version", "it says which part is missing",
    "too many files are open", "the user who made it", "a URL", "a user", "a one-way street", "an int", "an hour",
    "a unique name", "an fsync", "whoever reads it", "take the lock over there",
]  # fmt: skip


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """First line.\n\n    More: {}.\n    """\n',
        'class C:\n    x = 1\n    """{}"""\n',
        "x = 1  # {}\n",
        "# Some text, and\n# {}\n",
        'raise ValueError("{}")\n',
        'raise ValueError(f"{}: {{x}}")\n',
        '@click.option("--x", help="{}")\ndef f(): ...\n',
    ],
)
def test_a_planted_bad_sentence_is_found(sentence: str, source: str) -> None:
    planted = source.format(sentence)
    assert [fault for text in texts_of(planted) for fault in faults(text)], planted


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_sentence_on_a_page_is_found(sentence: str) -> None:
    for page in (f"<p>{sentence}</p>", f'<div aria-label="{sentence}"></div>'):
        assert [fault for text in text_of_page(page) for fault in faults(text)], page


@pytest.mark.parametrize("sentence", GOOD)
def test_a_good_sentence_is_left_alone(sentence: str) -> None:
    assert [fault for text in texts_of(f'"""{sentence}"""') for fault in faults(text)] == []


def test_the_article_before_the_name_of_a_type_is_found() -> None:
    (found,) = (fault for text in texts_of('f"a {type(x).__name__} here"') for fault in faults(text))
    assert "an int" in found


def test_code_and_examples_are_no_prose() -> None:
    source = '"""Text: `x is no y`.\n\n    >>> told = 1\n    ... told = by_itself\n"""\nx = told  # fmt: skip\n'
    assert [fault for text in texts_of(source) for fault in faults(text)] == []


def test_form_is_looked_at_in_docstrings_and_comments() -> None:
    long = "word " * 20 + "and then the end of it all, with more\n"
    for source, said in (
        ('"""As `other`, for files."""', "As `x`"),
        (f'"""First.\n\n{long}alone\n"""', "a word alone"),
        (f"# {long}# alone\n", "a word alone"),
        (f'"""{"word " * 30}"""', "a line of"),
        (f"x = 1  # {'word ' * 30}", "a line of"),
    ):
        assert [fault for text in texts_of(source) for fault in faults(text) if fault.startswith(said)], source
