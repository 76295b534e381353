"""A file as `Artifact.files()` lists it: with its mimetype and address, and a download that opens it, like W&B's."""

import base64
import hashlib
import mimetypes
import os
from typing import IO, Any

from artstore.api.entries import Entry
from artstore.domain.names import normal_path, printable
from artstore.domain.wording import human, moment
from artstore.errors import InvalidValue


class File(Entry):
    """One file of a logged artifact."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry._owner, entry.path, entry.raw)
        self.size: int = self.size or 0
        """The size in bytes; 0 for a reference of unknown size."""

    @property
    def id(self) -> str:
        """The version's id and the path."""
        return f"{self.stored_in('be identified').id}/{self.path}"

    @property
    def mimetype(self) -> str:
        """The type of the content, guessed from the name."""
        return mimetypes.guess_type(self.path)[0] or "application/octet-stream"

    @property
    def md5(self) -> str:
        """The MD5 digest of the content in base64. Cost: the content is read."""
        with self.open() as file:
            return base64.b64encode(
                hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
            ).decode()

    @property
    def updated_at(self) -> str:
        """When the version was made: ISO 8601, UTC."""
        return moment(self.stored_in("be dated").found().version["created"])

    @property
    def url(self) -> str:
        """The URI of a reference; for a stored file its `artstore://` path, which fsspec and pandas open."""
        return self.path_uri or f"artstore://{self.stored_in('have a url').found().spec}/{self.path}"

    direct_url = url

    @property
    def path_uri(self) -> str:
        """The URI of a reference; empty for a stored file."""
        return str(self.raw.uri) if self.is_reference else ""

    def download(  # type: ignore[override]  # an entry's download returns the path
        self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False, api: Any = None
    ) -> IO[str]:
        """Restore this file to a folder, checked, and open it as text.

        Args:
            root: The folder; by default the current one.
            replace: Replace a file that is there.
            exist_ok: Open a file that is there, whatever its content.
            api: Accepted as in W&B; it changes nothing.

        Returns:
            The open file. Close it, or take its `name`.

        Raises:
            InvalidValue: If a file is there, and neither `replace` nor `exist_ok` is given.

        Example:
            >>> for file in wandb.Api().artifact("digits/images:latest").files(["labels.csv"]):
            ...     with file.download("scans") as text:
            ...         text.readline()
            'image,digit\\n'
        """
        path = os.path.join(os.fspath(root), normal_path(self.path))
        if replace or not os.path.lexists(path):
            super().download(root)
        elif not exist_ok:
            raise InvalidValue(
                f"File already exists, pass replace=True to overwrite it or exist_ok=True to open it: {printable(path)}"
            )
        return open(path, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<File {self.path} ({self.mimetype}) {human(self.size)}>"
