"""Markdown as HTML for the pages: without tags, scripts or styles of its own, and with the version's own images."""

import os
import posixpath
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

Address = Callable[[str, str], str | None]
"""Called with `image` or `files` and a path in the version: the address of that page. None if there is no such file."""

_parser = MarkdownIt("commonmark", {"html": False}).enable("table")  # it refuses javascript: links too
_TASKS = {
    "[ ] ": '<span class="task" role="img" aria-label="to do">☐</span> ',
    "[x] ": '<span class="task" role="img" aria-label="done">☑</span> ',
    "[X] ": '<span class="task" role="img" aria-label="done">☑</span> ',
}


def nowhere(page: str, path: str) -> None:
    """The address of files beside a text that belongs to no version: there are none."""


def rendered(text: str, address: Address = nowhere, folder: str = "") -> str:
    """Markdown as HTML that the pages' policy allows.

    - Headings are one lower, because a page has its own title, and leave out no level. Columns are aligned by classes.
    - Images and links to other files of the version lead to their pages. Images from elsewhere become links, because
      the policy doesn't load them, and what is not there becomes text.

    Args:
        address: Where the files of the version are.
        folder: The folder of the text in the version: what its paths are relative to.
    """
    tokens, above = _parser.parse(text), list[str]()
    for before, token in zip([None, None, *tokens], tokens, strict=False):
        if token.type == "heading_open":
            above = [tag for tag in above if tag < token.tag] + [token.tag]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(len(above) + 1, 6)}"
        if style := token.attrs.pop("style", None):
            token.attrJoin("class", str(style).replace("text-align:", "align-"))
        if token.children:
            if before is not None and before.type == "list_item_open":
                _mark_task(before, token.children)
            token.children = list(_with_addresses(token.children, address, folder))
    return str(_parser.renderer.render(tokens, _parser.options, {}))


def _mark_task(item: Token, children: list[Token]) -> None:
    """Make the `[x]` at the beginning of a list's item a sign."""
    if sign := _TASKS.get(children[0].content[:4]):
        item.attrJoin("class", "task-item")
        children[0].content = children[0].content[4:]
        children.insert(0, Token("html_inline", "", 0, content=sign))


def _with_addresses(children: list[Token], address: Address, folder: str) -> Iterator[Token]:
    """Inline tokens whose images and links lead to pages, or are replaced."""
    leads = False
    for token in children:
        if token.type == "link_open":
            target = _target(str(token.attrs["href"]), "files", address, folder)
            leads = target is not None
            token.attrs["href"] = target or ""
        elif token.type == "image":
            yield from _image(token, address, folder, inside=leads)
            continue
        if leads or token.type not in ("link_open", "link_close"):
            yield token
        leads = leads and token.type != "link_close"


def _image(token: Token, address: Address, folder: str, *, inside: bool) -> list[Token]:
    """An image of the version, a link to one that is elsewhere (but not `inside` a link), or its text."""
    source = str(token.attrs["src"])
    target = _target(source, "image", address, folder)
    text = Token("text", "", 0, content=token.content or source)
    if target is None:
        return [text]
    if target.startswith(("/image/", "/run-image/", "data:")):
        token.attrs["src"] = target
        return [token]
    return (
        [text] if inside else [Token("link_open", "a", 1, attrs={"href": target}), text, Token("link_close", "a", -1)]
    )


def _target(target: str, page: str, address: Address, folder: str) -> str | None:
    """What a link or image leads to: the page of a file, or an address elsewhere as it is. None for a missing file."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path:
        return target
    path = os.fsdecode(unquote_to_bytes(parts.path))
    whole = posixpath.normpath(posixpath.join("/", folder, path))
    return address(page, whole.lstrip("/"))
