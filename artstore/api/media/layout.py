"""The places of media in an artifact, as W&B names them."""

import json
from base64 import b64encode
from hashlib import md5
from typing import Any

from artstore.api.media.content import Content, Kept, StoredFile, read
from artstore.api.media.value import Told


class ArtifactPlace:
    """The files of the media of one object. They are added to the artifact when all are known."""

    in_run = False

    def __init__(self) -> None:
        self.files: dict[str, Content] = {}
        """By their paths, which are relative to the artifact's root."""

    def store(self, content: Content, folder: str, ending: str) -> Told:
        """Take a file, and return the fields that name it. A file of another artifact keeps its path."""
        path = f"{folder}/{content.sha256[:20]}" + (f"/{content.name}" if content.name else ending)
        if isinstance(content, StoredFile) and content.path.startswith("media/"):
            known = self.files.get(content.path)
            path = content.path if known is None or known.sha256 == content.sha256 else path
        self.files.setdefault(path, content)
        return {"path": path, "sha256": content.sha256}

    def store_named(self, value: Any, path: str) -> Told:
        """Take a JSON file, and return the fields that name it."""
        if path not in self.files:
            self.files[path] = Kept(json.dumps(value, sort_keys=True).encode())
        digest = md5(read(self.files[path]), usedforsecurity=False).digest()
        return {"path": path, "digest": b64encode(digest).decode()}
