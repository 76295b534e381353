"""Html: a page."""

import os
from typing import Any

from artstore.api.media.content import Kept, content_of_file, read
from artstore.api.media.value import Media
from artstore.errors import InvalidType

_HEAD = '<base target="_blank"><link rel="stylesheet" type="text/css" href="https://app.wandb.ai/normalize.css" />'
"""What W&B puts into a page, so that files of both are the same."""


class Html(Media):
    """A page, from its text or a file.

    Example:
        >>> wandb.Html("<p>7 of 8 are right</p>", inject=False).html
        '<p>7 of 8 are right</p>'
    """

    type_name = "html-file"
    word = "html"
    folder = "media/html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        """Make a page.

        Args:
            data: The text of the page, the path of a file that ends with `.html`, or an open file.
            inject: Put W&B's lines for links and style into the head, as W&B does.
            data_is_not_path: Take a text as the page, even if a file has that name.

        Raises:
            InvalidType: If it is something else (also a ValueError).
            SourceError: If the file can't be read.
        """
        is_path = isinstance(data, str | os.PathLike) and not data_is_not_path and _is_page(os.fspath(data))
        name = None
        if is_path:
            content = content_of_file(data)
            if not inject:
                self.content = content
                return
            text = read(content).decode("utf-8", "replace")
        elif isinstance(data, str):
            text = data
        elif hasattr(data, "read"):
            if hasattr(data, "seek"):
                data.seek(0)
            text = data.read()
            text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        else:
            raise InvalidType(f"data must be a string or an io object, not {type(data).__name__}")
        self.content = Kept((_injected(text) if inject else text).encode("utf-8", "replace"), name)

    @property
    def html(self) -> str:
        """The text of the page."""
        return read(self.content).decode("utf-8", "replace")

    def ending(self) -> str:
        """The ending of its file."""
        return ".html"


def _is_page(path: str) -> bool:
    try:
        return path.endswith(".html") and os.path.isfile(path)
    except ValueError:  # a text with a null character
        return False


def _injected(text: str) -> str:
    """A page with W&B's lines in its head."""
    for tag, before, after in (("<head>", "<head>", ""), ("<html>", "<html><head>", "</head>")):
        first, found, rest = text.partition(tag)
        if found:
            return f"{first}{before}{_HEAD}{after}{rest}".strip()
    return f"{_HEAD}{text}".strip()
