"""The artifact, as W&B users know it: one object before and after it is logged, which only delegates: to a draft first,
to a stored version and its edits then.
"""

from typing import TYPE_CHECKING, Any

from artstore.api.collections import ArtifactCollection
from artstore.api.contents import Contents
from artstore.api.handles import opened
from artstore.api.listing import Artifacts, Listing
from artstore.api.recording import Recording, session
from artstore.api.runs import RunRecord
from artstore.api.stored import TTL, Edits, Stored, check_aliases, ttl_seconds
from artstore.backends.owner import this_process
from artstore.domain.collection import INHERIT, Path
from artstore.domain.difference import VersionDiff, differences
from artstore.domain.html import definition_rows, page
from artstore.domain.metadata import normalise
from artstore.domain.names import check_name, check_tags, check_type
from artstore.domain.properties import Properties
from artstore.domain.run import RunPath
from artstore.domain.wording import human, moment
from artstore.errors import Conflict, InvalidType, NotFound
from artstore.operations.finding.catalog import decoded_run
from artstore.operations.finding.lookup import Home, Version

if TYPE_CHECKING:
    from artstore.operations.lineage.svg import Picture

PENDING, COMMITTED, DELETED = "PENDING", "COMMITTED", "DELETED"


class ArtifactTTL:
    """`artifact.ttl = ArtifactTTL.INHERIT` leaves it to the defaults, which keep everything."""

    INHERIT = INHERIT


class Artifact(Contents):
    """A set of files under a name, to be logged as the next version of its collection.

    `name` is 1 to 128 letters, digits, `_ - .` and single spaces inside; `type` is left out where the collection exists
    (else it is `artifact`). `metadata` is a dict, or JSON text of one. With `incremental=True` the files are added to
    those of the latest version. Adding is safe from several threads, and refused in a forked child.
    """

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
        """`use_as`, `storage_region` and `digest_algorithm` are accepted as W&B's and change nothing. Raises InvalidValue
        (ValueError) for a name, type or metadata that breaks a rule, also TypeError for metadata without a JSON form.
        """
        if not isinstance(name, str):
            raise InvalidType(f"an artifact's name is text, not {name!r}")
        super().__init__(check_name(name))
        for what, text in (("type", type), ("description", description)):
            if text is not None and not isinstance(text, str):
                raise InvalidType(f"an artifact's {what} is text, not {text!r}")
        self._type = None if type is None else check_type(type)
        self._incremental = bool(incremental)
        self._edits.description = description
        self._edits.metadata = {} if metadata is None else normalise(metadata)
        self._home: Home | None = None
        self._discarded = False
        self.use_as = use_as
        self.distributed_id: str | None = None

    @property
    def _edits(self) -> Edits:
        return self._drafting.edits if self._stored is None else self._stored.edits

    @property
    def state(self) -> str:
        """PENDING (a draft), COMMITTED or DELETED."""
        if self._stored is None:
            return PENDING
        return COMMITTED if self._stored.found().is_live else DELETED

    @property
    def incremental(self) -> bool:
        return self._incremental

    def wait(self, timeout: float | None = None) -> "Artifact":
        """This artifact: logging had returned only when it was safe on disk."""
        if not self._discarded:
            self._logged("wait")
        return self

    def discard(self) -> None:
        """Take the files no further: what a disabled run does instead of logging."""
        self._discarded = True
        self._drafting.close()

    # -- what it is called --

    @property
    def version(self) -> str:
        return f"v{self._logged('version').found().version['number']}"

    @property
    def entity(self) -> str:
        return self._logged("entity").path.entity

    @property
    def project(self) -> str:
        return self._logged("project").path.project

    @property
    def qualified_name(self) -> str:
        return self._logged("qualified_name").found().spec

    @property
    def collection(self) -> ArtifactCollection:
        stored = self._logged("collection")
        return ArtifactCollection(stored.root, stored.found().state)

    # -- links --

    @property
    def is_link(self) -> bool:
        """Whether it stands in this collection by a link, and was made elsewhere."""
        return self._stored is not None and self._stored.is_link

    @property
    def source_artifact(self) -> "Artifact":
        """The version that a link links to, also when that was deleted; else this one itself. Raises NotFound when its
        artifact is not in this repository.
        """
        stored = self._logged("source_artifact")
        if not self.is_link:
            return self
        source = stored.repository.lookup.source_of_any_time(stored.found())
        if source is None:
            raise NotFound(f"{stored.source_path}, which {self.name} links to, is not here")
        return Artifact.of(stored.root, source)

    @property
    def source_name(self) -> str:
        """`name:vN` where it was made."""
        if self._stored is None:
            return self.name
        return f"{self._stored.source_path.name}:v{self._stored.source_number}"

    @property
    def source_version(self) -> str:
        return f"v{self._logged('source_version').source_number}"

    @property
    def source_entity(self) -> str:
        return self._logged("source_entity").source_path.entity

    @property
    def source_project(self) -> str:
        return self._logged("source_project").source_path.project

    @property
    def source_qualified_name(self) -> str:
        stored = self._logged("source_qualified_name")
        return f"{stored.source_path}:v{stored.source_number}"

    @property
    def source_collection(self) -> ArtifactCollection:
        stored = self._logged("source_collection")
        state = stored.repository.refs.read(stored.source_path)
        return ArtifactCollection(stored.root, state)

    @property
    def linked_artifacts(self) -> "list[Artifact]":
        """Links to this version, wherever they stand; of a link none. Cost: one stat of each collection."""
        stored = self._logged("linked_artifacts")
        if self.is_link:
            return []
        links = stored.repository.catalog().links_of(stored.id)
        return list(Artifacts(stored.root, [stored.repository.version(link.path, link.id) for link in links]))

    def link(self, target_path: str, aliases: list[str] | str | None = None) -> "Artifact":
        """Let this version stand in another collection, too, such as one of a registry: the link, an artifact with a number
        and aliases of its own there. A draft is logged first. Raises Conflict for a collection of another type, or one
        that is not for links.
        """
        if self._stored is None:
            self.save()
        stored = self._logged("link")
        return Artifact.of(
            stored.root, stored.repository.link(stored.found(), target_path, tuple(check_aliases(aliases)))
        )

    def unlink(self) -> None:
        """Take this link away; the version stays where it was made. Raises ValueError for what is no link."""
        stored = self._logged("unlink")
        if not self.is_link:
            raise Conflict(
                f"Artifact '{self.qualified_name}' is not a linked artifact and cannot be unlinked",
                hint="delete() deletes it",
            )
        stored.repository.unlink(stored.spec)

    @property
    def type(self) -> str:
        return (self._type or "artifact") if self._stored is None else self._stored.found().state.type

    @property
    def id(self) -> str | None:
        """The digest of the version's record, hex; None for a draft."""
        return None if self._stored is None else self._stored.id

    @property
    def commit_hash(self) -> str:
        return self._logged("commit_hash").id

    @property
    def created_at(self) -> str:
        """ISO 8601, UTC"""
        return moment(self._logged("created_at").found().version["created"])

    @property
    def updated_at(self) -> str:
        """When anything about it changed last: ISO 8601, UTC."""
        return str(self._logged("updated_at").found().version["updated"])

    @property
    def url(self) -> str:
        stored = self._logged("url")
        return f"file://{stored.root}#{self.qualified_name}"

    @property
    def history_step(self) -> int | None:
        self._logged("history_step")
        return None

    # -- what may be edited --

    @property
    def description(self) -> str | None:
        return self._edits.description

    @description.setter
    def description(self, text: str | None) -> None:
        if text is not None and not isinstance(text, str):
            raise InvalidType(f"a description is text, not a {text.__class__.__name__}")
        self._edits.description = text

    @property
    def metadata(self) -> dict[str, Any]:
        """Edit it in place or assign a dict; `save()` writes what differs, key by key."""
        return self._edits.metadata

    @metadata.setter
    def metadata(self, value: Any) -> None:
        self._edits.metadata = {} if value is None else normalise(value)

    @property
    def aliases(self) -> list[str]:
        """Edit the list in place or assign one; `save()` moves them here. `latest` comes and goes by itself."""
        self._logged("aliases")
        return self._edits.aliases

    @aliases.setter
    def aliases(self, aliases: list[str]) -> None:
        self._logged("aliases")
        self._edits.aliases = check_aliases(aliases)

    @property
    def tags(self) -> list[str]:
        self._logged("tags")
        return self._edits.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._logged("tags")
        self._edits.tags = check_tags([tags] if isinstance(tags, str) else tags)

    @property
    def ttl(self) -> TTL:
        """How long to keep it, from its creation: a timedelta, or None for ever."""
        return None if self._edits.ttl == INHERIT else self._edits.ttl

    @ttl.setter
    def ttl(self, ttl: TTL) -> None:
        ttl_seconds(ttl)
        self._edits.ttl = ttl

    def diff(self, other: "Artifact") -> VersionDiff:
        """What differs in `other` (the newer one) from this version."""
        if not isinstance(other, Artifact):
            raise InvalidType(f"an artifact is compared with another Artifact, not with a {other.__class__.__name__}")
        old, new = self._logged("diff"), other._logged("diff")
        changes = old.repository.diff(old.found(), new.found())
        metadata = old.read_properties().metadata, new.read_properties().metadata
        return VersionDiff(self.name, other.name, differences(changes), *metadata)

    # -- logging, and after --

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log a draft through the active run, else through a run of its own (in `project`; a `new_draft()` in that of
        its origin); of a logged artifact, write what was edited. Returns when it is safe on disk.
        """
        if self._stored is not None:
            self._stored.save()
            return
        entity, own = self._home or (None, None)
        with session.current(entity, project or own) as run:
            self.log_to(run)

    def log_to(
        self, run: Recording, aliases: list[str] | str | None = None, tags: list[str] | str | None = None
    ) -> None:
        """Log a draft as output of a run. A logged artifact gets the aliases and tags, and the run that edge."""
        properties = Properties(aliases=tuple(check_aliases(aliases)), tags=_texts(tags)).checked()
        with self._drafting.locked():
            if self._stored is None:
                self._log(run, properties, str(run.path), reuse="latest")
            else:
                run.check_place(self.name, self._stored.root)
                self._stored.add(properties)
        run.logged(self._logged("log").found())

    def use_in(self, run: Recording, aliases: list[str] | str | None = None, use_as: str | None = None) -> None:
        """Record it as input of a run; a draft is logged first, unless a live version has its content already."""
        properties = Properties(aliases=tuple(check_aliases(aliases))).checked()
        with self._drafting.locked():
            if self._stored is None:
                self._log(run, properties, None, reuse="any")
            else:
                run.check_place(self.name, self._stored.root)
                self._stored.add(properties)
        run.used(self._logged("use").found(), use_as)

    def _log(
        self,
        run: Recording,
        properties: Properties,
        producer: str | None,
        reuse: Any,
        upsert: str | None = None,
        writer: str = "",
    ) -> None:
        self._check_place(run)
        edits = self._edits
        properties = properties._replace(
            description=edits.description,
            metadata=normalise(edits.metadata) if edits.metadata else None,
            ttl=None if edits.ttl == INHERIT else ttl_seconds(edits.ttl),
        ).checked()
        path = Path(*run.home, self._name)
        saved = self._drafting.begun().save(
            path,
            type=self._type,
            properties=properties,
            run=producer,
            incremental=self._incremental,
            upsert=upsert,
            writer=writer,
            origins=self._drafting.origins(),
            reuse=reuse,
        )
        self._drafting.announce_saved()
        stored = Stored(run.root, Version(saved.collection, saved.collection.versions[saved.id]))
        self._become(stored)
        run.repository.tidy()
        if not saved.is_new:
            stored.check_latest(properties)

    def upsert_to(self, run: Recording, upsert: str, *, finish: bool, aliases: list[str] | str | None = None) -> None:
        """Add the files to the version that several processes put together under an id; with `finish` it is made, of all
        that was added. Raises Conflict, naming both writers, for a path that another has added with other content.
        """
        self._refuse_logged("upsert_artifact")
        properties = Properties(aliases=tuple(check_aliases(aliases))).checked()
        owner, path = this_process(), Path(*run.home, self._name)
        writer = f"run {run.path.id} (process {owner.pid} on {owner.host.rpartition('-')[0]})"
        with self._drafting.locked():
            if finish:
                self._log(run, properties, str(run.path), "latest", upsert, writer)
            else:
                self._check_place(run)
                self._drafting.begun().save_part(path, upsert, type=self._type, writer=writer, run=str(run.path))
                self._drafting.finalize()
        if finish:
            run.logged(self._logged("log").found())

    def _check_place(self, run: Recording) -> None:
        if (root := self._drafting.root) is not None:
            run.check_place(self.name, root)

    def new_draft(self) -> "Artifact":
        """A draft of the next version with this one's files, type, description and metadata, and it as parent. Aliases,
        tags and ttl stay behind.
        """
        stored = self._logged("new_draft")
        path = stored.source_path  # of a link the next version is its source's
        base = path if stored.repository.lookup.source(stored.found()) else stored.path
        draft = Artifact(path.name, self.type, self.description, normalise(self.metadata))
        draft._home = path[:2]
        draft._drafting.start_from(stored, base)
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version; gc frees its space, its name, number, size and date stay on record. Refused while aliases
        but `latest`, or links, hold it, unless `delete_aliases`; links live on. Deleting a link only unlinks.
        """
        stored = self._logged("delete")
        if self.is_link:
            self.unlink()
            return
        try:
            stored.repository.delete(stored.spec, delete_aliases=delete_aliases)
        except Conflict as error:
            raise Conflict(error.message, hint="delete(delete_aliases=True) deletes it all the same") from error

    def logged_by(self) -> RunRecord | None:
        """The run that logged this version first; None when none did, or its record is not here."""
        stored = self._logged("logged_by")
        producer = stored.found().version["run"]
        if producer is None:
            return None
        state = stored.repository.runs.read(RunPath(*str(producer).split("/")))
        there = state.number and state.deleted is None
        return RunRecord(stored.root, state) if there else None

    def used_by(self) -> Listing[RunRecord]:
        """Runs that used this version, here or by a link, the latest started first. Cost: one stat of each run; a run is read
        when it is looked at.
        """
        stored = self._logged("used_by")
        rows = stored.repository.catalog(damaged=[]).users_of(stored.id)
        root = stored.root

        def record(row: bytes) -> RunRecord:
            run = decoded_run(row)
            path = RunPath(run.entity, run.project, run.id)
            return RunRecord(root, opened(root).runs.read(path))

        return Listing(rows, record)

    def lineage(self, depth: int | None = None, direction: str = "both") -> "Picture":
        """The runs and versions that this one came from (`up`), and that came from it (`down`), up to `depth` runs away. A
        notebook shows it as a picture.
        """
        from artstore.operations.lineage.svg import Picture

        stored = self._logged("lineage")
        return Picture.of(stored.repository.lineage(stored.found(), depth=depth, direction=direction))

    # -- shown --

    def __repr__(self) -> str:
        if self._stored is None:
            return f"<Artifact {self._name} (draft)>"
        return f"<Artifact {self.qualified_name} ({self.type})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Artifact) or self._stored is None or other._stored is None:
            return self is other
        mine, theirs = self._stored, other._stored
        return (mine.root, mine.path, mine.id) == (theirs.root, theirs.path, theirs.id)

    def __hash__(self) -> int:
        return hash(self._name)

    def _repr_html_(self) -> str:
        rows = [("type", self.type), ("state", self.state), ("size", human(self.size))]
        if self._stored is not None:
            rows += [("files", f"{self.file_count:,}"), ("aliases", ", ".join(self.aliases))]
            rows += [("tags", ", ".join(self.tags)), ("digest", self.digest), ("created", self.created_at)]
        rows += [("description", self.description)] if self.description else []
        rows += [(f"metadata {key}", repr(value)) for key, value in self.metadata.items()]
        return page(self.name if self._stored is None else self.qualified_name, definition_rows(rows))


def _texts(texts: list[str] | str | None) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts or ())
