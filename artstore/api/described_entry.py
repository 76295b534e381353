"""An entry as a script describes it: a local file, or a URI, for `manifest.add_entry`."""

import os
from abc import ABCMeta
from typing import Any

from artstore.api.entries import Entry


class ArtifactManifestEntry(metaclass=ABCMeta):  # noqa: B024  entries are registered below
    """An entry to add to a draft's manifest. Entries of artifacts are instances of this class, too.

    Example:
        >>> from artstore.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
        >>> draft = wandb.Artifact("labels", type="dataset")
        >>> draft.manifest.add_entry(ArtifactManifestEntry("all.csv", digest="", local_path="data/labels.csv"))
        >>> draft.manifest.entries["all.csv"].size
        28
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        digest: str,
        ref: str | None = None,
        birth_artifact_id: str | None = None,
        size: int | None = None,
        extra: dict[str, Any] | None = None,
        local_path: str | os.PathLike[str] | None = None,
        skip_cache: bool = False,
    ) -> None:
        """Describe an entry.

        Args:
            path: The path in the artifact.
            digest: Accepted as in W&B: the digest is that of the file, or of the URI.
            ref: The URI of content that stays where it is. It isn't asked for it.
            birth_artifact_id: Accepted as in W&B; it changes nothing.
            size: The size in bytes; by default that of the local file.
            extra: Keys of your own, which the entry keeps.
            local_path: The file.
            skip_cache: Accepted as in W&B; it changes nothing.

        Raises:
            FileNotFoundError: If no size is given, and there is no such file.
        """
        self.path = os.fspath(path)
        self.digest, self.ref, self.birth_artifact_id = digest, ref, birth_artifact_id
        self.local_path = None if local_path is None else os.fspath(local_path)
        self.size = os.path.getsize(self.local_path) if size is None and self.local_path else size
        self.extra = dict(extra or {})
        self.skip_cache = skip_cache

    def __repr__(self) -> str:
        names = ("path", "digest", "ref", "birth_artifact_id", "size", "extra", "local_path", "skip_cache")
        shown = [(name, getattr(self, name)) for name in names]
        return f"ArtifactManifestEntry({', '.join(f'{k}={v!r}' for k, v in shown if v is not None and v != {})})"


ArtifactManifestEntry.register(Entry)
