"""What an artifact says of itself: names, properties and dates, before and after it is logged."""

from enum import StrEnum
from typing import Any, Self
from urllib.parse import quote

from artstore.api.contents import Contents
from artstore.api.handles import url_in
from artstore.api.manifest import Manifest
from artstore.api.stored import TTL, Edits, check_aliases, ttl_seconds
from artstore.domain.collection import INHERIT
from artstore.domain.metadata import normalise
from artstore.domain.names import check_name, check_tags, check_type, refuse_reserved
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import moment
from artstore.errors import InvalidType, InvalidValue
from artstore.operations.finding.lookup import Home


class Described(Contents):
    """Contents with a name, a type and properties. Edits of a logged version are written by `Artifact.save`."""

    def __init__(
        self,
        name: str,
        type: str | None = None,
        description: str | None = None,
        metadata: Any = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str | None = None,
    ) -> None:
        """Start a draft.

        Args:
            name: 1 to 128 letters, digits, `_`, `-`, `.` and single spaces inside.
            type: A word such as `dataset` or `model`. The default is the collection's type, or `artifact` for a
                new one.
            description: A text for people.
            metadata: A dict, or JSON text of an object. Values without a JSON form become their text, as in a run
                (see `Run.log`), and NaN becomes null.
            incremental: Add the files to those of the latest version.
            use_as: Accepted as in W&B; it changes nothing.
            storage_region: A text, as in W&B; it changes nothing.
            digest_algorithm: Accepted as in W&B; digests are BLAKE3.

        Raises:
            InvalidValue: If the name, type or metadata breaks a rule, or the type is one of W&B's own, such as `job`
                (also a ValueError).
            InvalidType: If a value has the wrong type, or the metadata has an object without a text that tells its
                value, such as an artifact, a data frame or a figure (also a TypeError).
        """
        if not isinstance(name, str):
            raise InvalidType(f"an artifact's name must be text, not {name!r}")
        super().__init__(check_name(name))
        for what, text in (("type", type), ("description", description)):
            if text is not None and not isinstance(text, str):
                raise InvalidType(f"an artifact's {what} must be text, not {text!r}")
        if storage_region is not None and not (isinstance(storage_region, str) and storage_region.strip()):
            raise InvalidType(f"storage_region must be text, not {storage_region!r}")
        self._type = None if type is None else check_type(refuse_reserved(type, name))
        self._incremental = bool(incremental)
        self._edits.description = description
        self._edits.metadata = {} if metadata is None else normalise(metadata)
        self._home: Home | None = None
        self._discarded = False
        self.use_as = use_as
        self.distributed_id: str | None = None

    @classmethod
    def of_reserved_type(cls, name: str, type: str, *, incremental: bool = False) -> Self:
        """Start a draft of a type that is reserved for the library, such as a run's table."""
        made = cls(name, incremental=incremental)
        made._type = check_type(type)
        return made

    @property
    def _edits(self) -> Edits:
        """The properties as they were edited: the draft's, or the stored version's."""
        return self._drafting.edits if self._stored is None else self._stored.edits

    @property
    def manifest(self) -> Manifest:
        """The manifest. `manifest.entries` maps paths to entries, which are read as they are asked for."""
        return Manifest(self)

    @property
    def state(self) -> str:
        """`PENDING` for a draft, `COMMITTED` for a logged version, `DELETED` for a deleted one."""
        if self._stored is None:
            return PENDING
        return COMMITTED if self._stored.found().is_live else DELETED

    @property
    def incremental(self) -> bool:
        """Whether the files are added to those of the latest version."""
        return self._incremental

    @property
    def version(self) -> str:
        """The version's number, such as `v0`."""
        return f"v{self._logged('version').found().version['number']}"

    @property
    def entity(self) -> str:
        """The entity of its collection."""
        return self._logged("entity").path.entity

    @property
    def project(self) -> str:
        """The project of its collection."""
        return self._logged("project").path.project

    @property
    def qualified_name(self) -> str:
        """The full name: `entity/project/name:vN`."""
        return self._logged("qualified_name").found().spec

    @property
    def is_link(self) -> bool:
        """Whether this is a link to a version of another collection."""
        return self._stored is not None and self._stored.is_link

    @property
    def source_name(self) -> str:
        """The source version's name, `name:vN`."""
        if self._stored is None:
            return self.name
        return f"{self._stored.source_path.name}:v{self._stored.source_number}"

    @property
    def source_version(self) -> str:
        """The source version's number, such as `v0`."""
        return f"v{self._logged('source_version').source_number}"

    @property
    def source_entity(self) -> str:
        """The entity of the source version."""
        return self._logged("source_entity").source_path.entity

    @property
    def source_project(self) -> str:
        """The project of the source version."""
        return self._logged("source_project").source_path.project

    @property
    def source_qualified_name(self) -> str:
        """The source version's full name: `entity/project/name:vN`."""
        stored = self._logged("source_qualified_name")
        return f"{stored.source_path}:v{stored.source_number}"

    @property
    def type(self) -> str:
        """The type, such as `dataset` or `model`."""
        return (self._type or "artifact") if self._stored is None else self._stored.found().state.type

    @property
    def id(self) -> str | None:
        """The digest of the version's record, in hex; None for a draft."""
        return None if self._stored is None else self._stored.id

    @property
    def commit_hash(self) -> str:
        """The digest of the version's record, in hex. Unlike `id`, it raises ArtifactNotLoggedError for a draft."""
        return self._logged("commit_hash").id

    @property
    def created_at(self) -> str:
        """When the version was made: ISO 8601, UTC."""
        return moment(self._logged("created_at").found().version["created"])

    @property
    def updated_at(self) -> str:
        """When anything about the version last changed: ISO 8601, UTC."""
        return str(self._logged("updated_at").found().version["updated"])

    @property
    def linked_at(self) -> str | None:
        """When a link was made: ISO 8601, UTC. None for any other version. Cost: the collection's log is read."""
        stored = self._logged("linked_at")
        return stored.repository.lookup.linked_at(stored.found())

    @property
    def digest_algorithm(self) -> str:
        """What digests are made with: always `BLAKE3`."""
        return "BLAKE3"

    @property
    def url(self) -> str:
        """A `file://` URL of the repository, with the version's full name as its fragment."""
        stored = self._logged("url")
        return f"{url_in(stored.root)}#{quote(self.qualified_name, safe='/:')}"

    @property
    def history_step(self) -> int | None:
        """The last step that the run had logged when it logged this version; None if there was none before.

        None too if no run logged it, or if its record isn't in this repository. Cost: the run's history is read.
        """
        stored = self._logged("history_step")
        if (run := self._producer()) is None:
            return None
        made = stored.found().version["created"] / 1e9
        rows = stored.repository.run_history(run)
        return max((int(row["_step"]) for row in rows if row.get("_timestamp", made) <= made), default=None)

    def _producer(self) -> RunState | None:
        """The run that logged this version first. None if no run did, or if its record isn't in this repository."""
        stored = self._logged("logged_by")
        producer = stored.found().version["run"]
        if producer is None:
            return None
        state = stored.repository.runs.read(RunPath(*str(producer).split("/")))
        return state if state.number and state.deleted is None else None

    @property
    def description(self) -> str | None:
        """A text for people, or None. Assign another one; `save()` writes it."""
        return self._edits.description

    @description.setter
    def description(self, text: str | None) -> None:
        if text is not None and not isinstance(text, str):
            raise InvalidType(f"a description must be text, not {text.__class__.__name__}")
        self._edits.description = text

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata, a dict of JSON values. Edit it or assign another one; `save()` writes the keys that differ.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.metadata["classes"] = 10
            >>> images.save()
            >>> wandb.Api().artifact("digits/images:latest").metadata
            {'source': 'scanner', 'classes': 10}
        """
        return self._edits.metadata

    @metadata.setter
    def metadata(self, value: Any) -> None:
        self._edits.metadata = {} if value is None else normalise(value)

    @property
    def aliases(self) -> list[str]:
        """The version's aliases. Edit the list or assign another one; `save()` moves the aliases.

        `latest` always names the newest version, so it can't be moved or removed.

        Example:
            >>> images = wandb.Api().artifact("digits/images:v0")
            >>> images.aliases.append("checked")
            >>> images.save()
            >>> wandb.Api().artifact("digits/images:checked").version
            'v0'
        """
        self._logged("aliases")
        return self._edits.aliases

    @aliases.setter
    def aliases(self, aliases: list[str]) -> None:
        self._logged("aliases")
        self._edits.aliases = check_aliases(aliases)

    @property
    def tags(self) -> list[str]:
        """The version's tags. Edit the list or assign another one; `save()` writes what differs."""
        self._logged("tags")
        return self._edits.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._logged("tags")
        self._edits.tags = check_tags([tags] if isinstance(tags, str) else tags)

    @property
    def ttl(self) -> TTL:
        """How long to keep the version after it was made: a timedelta, or None for ever.

        Assign `ArtifactTTL.INHERIT` to go back to the default. `artstore prune` deletes versions whose ttl has expired.

        Raises:
            ArtifactNotLoggedError: For a draft, unless a ttl was assigned.
            InvalidValue: If it is assigned to a link (also a ValueError). Assign it to the link's source.

        Example:
            >>> import datetime
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.ttl = datetime.timedelta(days=30)
            >>> images.save()
        """
        if self._edits.ttl != INHERIT:
            return self._edits.ttl
        self._logged("ttl")
        return None

    @ttl.setter
    def ttl(self, ttl: TTL) -> None:
        if self.is_link:
            raise InvalidValue("Cannot set TTL for link artifact: its source has it", hint="source_artifact.ttl = …")
        ttl_seconds(ttl)
        self._edits.ttl = ttl


PENDING, COMMITTED, DELETED = "PENDING", "COMMITTED", "DELETED"


class ArtifactTTL(StrEnum):
    """Special values for `Artifact.ttl`."""

    INHERIT = INHERIT
    """The default of the repository, which is to keep the version for ever."""
