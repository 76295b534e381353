"""The artifact: one object before and after it is logged. It delegates to a draft, then to a stored version."""

from typing import TYPE_CHECKING, Any

from artstore.api.collections import ArtifactCollection
from artstore.api.contents import Contents, Texts
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
    """Special values for `Artifact.ttl`."""

    INHERIT = INHERIT
    """The default of the repository, which is to keep the version for ever."""


class Artifact(Contents):
    """A set of files under a name, to be logged as the next version of its collection.

    Until it is logged, an artifact is a draft to which you add files. Then it is a version, whose files never change.
    Its aliases, tags, description, metadata and ttl can still be edited; `save()` writes them. Several threads may add
    files at once. A forked child can't add to a draft of its parent.

    Example:
        >>> with wandb.init(project="digits") as run:
        ...     images = wandb.Artifact("images", type="dataset", metadata={"source": "scanner"})
        ...     images.add_dir("data")
        ...     images = run.log_artifact(images)
        >>> images.name, images.file_count
        ('images:v1', 3)
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
        """Start a draft.

        Args:
            name: 1 to 128 letters, digits, `_`, `-`, `.` and single spaces inside.
            type: A word such as `dataset` or `model`. The default is the collection's type, or `artifact` for a
                new one.
            description: A text for people.
            metadata: A dict, or JSON text of an object.
            incremental: Add the files to those of the latest version.
            use_as: Accepted as in W&B; it changes nothing.
            storage_region: Accepted as in W&B; it changes nothing.
            digest_algorithm: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidValue: If the name, type or metadata breaks a rule (also a ValueError).
            InvalidType: If a value has the wrong type, or the metadata has no JSON form (also a TypeError).
        """
        if not isinstance(name, str):
            raise InvalidType(f"an artifact's name must be text, not {name!r}")
        super().__init__(check_name(name))
        for what, text in (("type", type), ("description", description)):
            if text is not None and not isinstance(text, str):
                raise InvalidType(f"an artifact's {what} must be text, not {text!r}")
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
        """The properties as they were edited: the draft's, or the stored version's."""
        return self._drafting.edits if self._stored is None else self._stored.edits

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

    def wait(self, timeout: float | None = None) -> "Artifact":
        """Return this artifact. There is nothing to wait for: logging returns when the version is safe on disk.

        Raises:
            ArtifactNotLoggedError: If it is a draft.
        """
        if not self._discarded:
            self._logged("wait")
        return self

    def discard(self) -> None:
        """Close the draft and drop its files. A disabled run calls this instead of logging."""
        self._discarded = True
        self._drafting.close()

    # -- names --

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
    def collection(self) -> ArtifactCollection:
        """The collection that this version is in."""
        stored = self._logged("collection")
        return ArtifactCollection(stored.root, stored.found().state)

    # -- links --

    @property
    def is_link(self) -> bool:
        """Whether this is a link to a version of another collection."""
        return self._stored is not None and self._stored.is_link

    @property
    def source_artifact(self) -> "Artifact":
        """The version that a link leads to, even if it is deleted. If this isn't a link, it is this version.

        Raises:
            NotFound: If the source's collection isn't in this repository.
        """
        stored = self._logged("source_artifact")
        if not self.is_link:
            return self
        source = stored.repository.lookup.source_of_any_time(stored.found())
        if source is None:
            raise NotFound(f"{stored.source_path}, which {self.name} links to, is not in this repository")
        return Artifact.of(stored.root, source)

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
    def source_collection(self) -> ArtifactCollection:
        """The collection of the source version."""
        stored = self._logged("source_collection")
        state = stored.repository.refs.read(stored.source_path)
        return ArtifactCollection(stored.root, state)

    @property
    def linked_artifacts(self) -> "list[Artifact]":
        """All links to this version; empty for a link. Cost: one stat for each collection."""
        stored = self._logged("linked_artifacts")
        if self.is_link:
            return []
        links = stored.repository.catalog().links_of(stored.id)
        return list(Artifacts(stored.root, [stored.repository.version(link.path, link.id) for link in links]))

    def link(self, target_path: str, aliases: Texts = None) -> "Artifact":
        """Link this version into another collection, such as a registry's. A draft is logged first.

        Args:
            target_path: The target, `[[entity/]project/]name`.
            aliases: Aliases for the link.

        Returns:
            The link: an artifact with its own number and aliases. Everything else is its source's.

        Raises:
            Conflict: If the target has another type, or holds versions of its own instead of links.

        Example:
            >>> model = wandb.Api().artifact("digits/model:latest")
            >>> link = model.link("registry-models/digits", aliases=["prod"])
            >>> link.name, link.aliases, link.source_name
            ('digits:v0', ['latest', 'prod'], 'model:v0')
        """
        if self._stored is None:
            self.save()
        stored = self._logged("link")
        link = stored.repository.link(stored.found(), target_path, tuple(check_aliases(aliases)))
        return Artifact.of(stored.root, link)

    def unlink(self) -> None:
        """Remove this link. The version that it leads to stays.

        Raises:
            Conflict: If this isn't a link (also a ValueError).
        """
        stored = self._logged("unlink")
        if not self.is_link:
            message = f"Artifact '{self.qualified_name}' is not a linked artifact and cannot be unlinked"
            raise Conflict(message, hint="delete() deletes it")
        stored.repository.unlink(stored.spec)

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
    def url(self) -> str:
        """A `file://` URL of the repository, with the version's full name as its fragment."""
        stored = self._logged("url")
        return f"file://{stored.root}#{self.qualified_name}"

    @property
    def history_step(self) -> int | None:
        """Always None: artstore doesn't record the step at which a version was logged."""
        self._logged("history_step")
        return None

    # -- editing --

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

        Example:
            >>> import datetime
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> images.ttl = datetime.timedelta(days=30)
            >>> images.save()
        """
        return None if self._edits.ttl == INHERIT else self._edits.ttl

    @ttl.setter
    def ttl(self, ttl: TTL) -> None:
        ttl_seconds(ttl)
        self._edits.ttl = ttl

    def diff(self, other: "Artifact") -> VersionDiff:
        """Compare this version with a newer one.

        Args:
            other: The newer version.

        Returns:
            The paths of added, removed, changed and renamed files, and the metadata that differs.

        Raises:
            ArtifactNotLoggedError: If one of the two is a draft.

        Example:
            >>> images = wandb.Api().artifact("digits/images:latest")
            >>> draft = images.new_draft()
            >>> draft.remove("labels.csv")
            >>> draft.save()
            >>> images.diff(draft).removed
            ['labels.csv']
        """
        if not isinstance(other, Artifact):
            raise InvalidType(f"diff() needs another Artifact, not {other.__class__.__name__}")
        old, new = self._logged("diff"), other._logged("diff")
        changes = old.repository.diff(old.found(), new.found())
        metadata = old.read_properties().metadata, new.read_properties().metadata
        return VersionDiff(self.name, other.name, differences(changes), *metadata)

    # -- logging and later --

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log a draft, or write the edits of a logged artifact. The result is safe on disk when this returns.

        Args:
            project: The project for a draft that is saved without an active run. A `new_draft()` goes to its origin's
                project by default.
            settings: Accepted as in W&B; it changes nothing.

        Example:
            >>> notes = wandb.Artifact("notes", type="text")
            >>> with notes.new_file("readme.txt") as file:
            ...     _ = file.write("scanned in May")
            >>> notes.save(project="digits")
            >>> notes.qualified_name
            'local/digits/notes:v0'
            >>> notes.tags = ["draft"]
            >>> notes.save()
        """
        if self._stored is not None:
            self._stored.save()
            return
        entity, own = self._home or (None, None)
        with session.current(entity, project or own) as run:
            self.log_to(run)

    def log_to(self, run: Recording, aliases: Texts = None, tags: Texts = None) -> None:
        """Log a draft as an output of a run. If it is logged already, add the aliases and tags, and the output.

        Args:
            run: The run that logs it.
            aliases: Aliases for the version.
            tags: Tags for the version.
        """
        labels = (tags,) if isinstance(tags, str) else tuple(tags or ())
        run.logged(self._made(run, Properties(tuple(check_aliases(aliases)), labels), str(run.path), "latest").found())

    def use_in(self, run: Recording, aliases: Texts = None, use_as: str | None = None) -> None:
        """Record this artifact as an input of a run.

        A draft is logged first, unless a live version has the same content.

        Args:
            run: The run that uses it.
            aliases: Aliases to add to the version.
            use_as: The role in which the run uses it, for W&B's scripts.
        """
        run.used(self._made(run, Properties(tuple(check_aliases(aliases))), None, "any").found(), use_as)

    def _made(self, run: Recording, properties: Properties, producer: str | None, reuse: Any) -> Stored:
        """Save the draft, or add aliases and tags if it is logged already. Returns the version."""
        properties = properties.checked()
        with self._drafting.locked():
            if self._stored is None:
                return self._log(run, properties, producer, reuse)
            run.check_place(self.name, self._stored.root)
            self._stored.add(properties)
            return self._stored

    def _log(
        self, run: Recording, properties: Properties, producer: str | None, reuse: Any, upsert: str | None = None,
        writer: str = "",
    ) -> Stored:  # fmt: skip
        """Save the draft and become the version. With `upsert` it is one that several processes build."""
        self._check_place(run)
        edits = self._edits
        properties = properties._replace(
            description=edits.description,
            metadata=normalise(edits.metadata) if edits.metadata else None,
            ttl=None if edits.ttl == INHERIT else ttl_seconds(edits.ttl),
        ).checked()
        saved = self._drafting.begun().save(
            Path(*run.home, self._name), type=self._type, properties=properties, run=producer, upsert=upsert, writer=writer,
            incremental=self._incremental, origins=self._drafting.origins(), reuse=reuse,
        )  # fmt: skip
        self._drafting.announce_saved()
        stored = Stored(run.root, Version(saved.collection, saved.collection.versions[saved.id]))
        self._become(stored)
        run.repository.tidy()
        if not saved.is_new:
            stored.check_latest(properties)
        return stored

    def upsert_to(self, run: Recording, upsert: str, *, finish: bool, aliases: Texts = None) -> None:
        """Add the files to a version that several processes build under one id.

        Args:
            run: The run that adds them.
            upsert: The id.
            finish: Make the version now, from all files that were added under the id.
            aliases: Aliases for the version, with `finish`.

        Raises:
            Conflict: If another process added other content at one of the paths. The message names both writers.
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
        """Start the next version from this one: a draft with its files, type, description and metadata.

        This version becomes the draft's parent. Aliases, tags and ttl aren't copied. From a link, the draft is the next
        version of the link's source.

        Example:
            >>> draft = wandb.Api().artifact("digits/images:latest").new_draft()
            >>> _ = draft.add_file("data/images/2.png", "images/2.png")
            >>> draft.save()
            >>> draft.name, draft.file_count
            ('images:v1', 3)
        """
        stored = self._logged("new_draft")
        path = stored.source_path  # a link's next version belongs to its source's collection
        base = path if stored.repository.lookup.source(stored.found()) else stored.path
        draft = Artifact(path.name, self.type, self.description, normalise(self.metadata))
        draft._home = path[:2]
        draft._drafting.start_from(stored, base)
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version. For a link, only remove the link.

        Its name, number, size and date stay on record. `artstore gc` frees its space; until then `artstore undelete`
        can bring it back.

        Args:
            delete_aliases: Delete it even if it has links, or aliases other than `latest`. The links stay.

        Raises:
            Conflict: If it has links or aliases, and `delete_aliases` is False.

        Example:
            >>> images = wandb.Api().artifact("digits/images:v0")
            >>> images.delete()
            >>> images.state
            'DELETED'
        """
        stored = self._logged("delete")
        if self.is_link:
            self.unlink()
            return
        try:
            stored.repository.delete(stored.spec, delete_aliases=delete_aliases)
        except Conflict as error:
            raise Conflict(error.message, hint="delete(delete_aliases=True) deletes it anyway") from error

    def logged_by(self) -> RunRecord | None:
        """The run that logged this version first. None if no run did, or if its record isn't in this repository.

        Example:
            >>> wandb.Api().artifact("digits/model:latest").logged_by()
            <Run local/digits/train-1 (finished)>
        """
        stored = self._logged("logged_by")
        producer = stored.found().version["run"]
        if producer is None:
            return None
        state = stored.repository.runs.read(RunPath(*str(producer).split("/")))
        return RunRecord(stored.root, state) if state.number and state.deleted is None else None

    def used_by(self) -> Listing[RunRecord]:
        """The runs that used this version, directly or by a link, latest first.

        Cost: one stat for each run of the repository. A run is read only when you look at it.

        Example:
            >>> wandb.Api().artifact("digits/images:latest").used_by()
            [<Run local/digits/train-1 (finished)>]
        """
        stored = self._logged("used_by")
        rows = stored.repository.catalog(damaged=[]).users_of(stored.id)
        root = stored.root

        def record(row: bytes) -> RunRecord:
            run = decoded_run(row)
            return RunRecord(root, opened(root).runs.read(RunPath(run.entity, run.project, run.id)))

        return Listing(rows, record)

    def lineage(self, depth: int | None = None, direction: str = "both") -> "Picture":
        """The runs and versions that this version came from, and those that came from it.

        Args:
            depth: Follow at most this many runs; by default all.
            direction: `up` for where it came from, `down` for what came from it, or `both`.

        Returns:
            A graph, which a notebook shows as a picture.

        Example:
            >>> graph = wandb.Api().artifact("digits/model:latest").lineage(direction="up")
            >>> len(graph.nodes)  # two versions and two runs
            4
        """
        from artstore.operations.lineage.svg import Picture

        stored = self._logged("lineage")
        return Picture.of(stored.repository.lineage(stored.found(), depth=depth, direction=direction))

    # -- display --

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
