"""The artifact: one object before and after it is logged. It delegates to a draft, then to a stored version."""

import copy
from typing import TYPE_CHECKING, Any

from artstore.api.collections import ArtifactCollection
from artstore.api.described import Described
from artstore.api.files import Texts
from artstore.api.handles import opened
from artstore.api.listing import Artifacts, Listing
from artstore.api.recording import Recording, session
from artstore.api.runs import RunRecord
from artstore.api.settings import for_run
from artstore.api.stored import Stored, new_aliases, ttl_seconds
from artstore.backends.callers import warn_caller
from artstore.backends.owner import this_process
from artstore.domain.collection import INHERIT, Path
from artstore.domain.difference import VersionDiff, differences
from artstore.domain.html import definition_rows, page
from artstore.domain.metadata import normalise
from artstore.domain.names import collection_named, parse_spec
from artstore.domain.properties import Properties
from artstore.domain.run import RunPath
from artstore.domain.upserts import refuse_incremental
from artstore.domain.wording import count, human
from artstore.errors import Conflict, InvalidType, NotFound
from artstore.operations.finding.catalog import decoded_run
from artstore.operations.finding.lookup import Home, Version

if TYPE_CHECKING:
    from artstore.operations.lineage.svg import Picture


class Artifact(Described):
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

    @property
    def collection(self) -> ArtifactCollection:
        """The collection that this version is in."""
        stored = self._logged("collection")
        return ArtifactCollection(stored.root, stored.found().state)

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
            target_path: The target, `[[entity/]project/]name`. The entity is by default the version's own, that of a
                registry the default entity.
            aliases: Aliases for the link.

        Returns:
            The link: an artifact with its own number and aliases. Everything else is its source's.

        Raises:
            Conflict: If the target has another type, or holds versions of its own instead of links, or if this was
                found by a number that another version had before a pull.

        Example:
            >>> model = wandb.Api().artifact("digits/model:latest")
            >>> link = model.link("registry-models/digits", aliases=["prod"])
            >>> link.name, link.aliases, link.source_name
            ('digits:v0', ['latest', 'prod'], 'model:v0')
        """
        if self._stored is None:
            self.save()
        stored = self._logged("link")
        stored.refuse_renumbered()
        target = self._target(target_path, (stored.source_path.entity, stored.repository.settings.project))
        link = stored.repository.link(stored.found(), target, new_aliases(aliases))
        return Artifact.of(stored.root, link)

    @staticmethod
    def _target(text: str, home: Home) -> str:
        """The path of a link's collection. One outside registries is by default in `home`."""
        spec = parse_spec(collection_named(text))
        if spec.entity or (spec.project and Path("", spec.project, "").in_registry):
            return text
        return str(Path(home[0], spec.project or home[1], spec.name))

    def link_in(self, run: Recording, target_path: str, aliases: Texts = None) -> "Artifact":
        """Link this version into a collection, which is by default in the run's project."""
        return self.link(self._target(target_path, run.home), aliases)

    def unlink(self) -> None:
        """Remove this link. The version that it leads to stays.

        Raises:
            Conflict: If this isn't a link (also a ValueError).
        """
        stored = self._logged("unlink")
        stored.refuse_renumbered()
        if not self.is_link:
            what = f"Artifact '{self.qualified_name}' is not a linked artifact and cannot be unlinked."
            raise Conflict(f"{what} To delete it, use 'Artifact.delete' instead.")
        stored.repository.unlink(stored.spec)

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

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log a draft, or write the edits of a logged artifact. The result is safe on disk when this returns.

        Args:
            project: The project for a draft that is saved without an active run. A `new_draft()` goes to its origin's
                project by default.
            settings: Settings of the run that is recorded if none is active, such as its `entity` and `run_name`.
                With `mode="disabled"` the draft is dropped.

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
        options = for_run(settings, {}).of_run()
        if options.pop("mode", None) == "disabled" and session.recording is None:
            self.discard()
            return
        options |= dict(zip(("entity", "project"), self._home or (), strict=False))
        with session.current(options | ({"project": project} if project else {})) as run:
            self.log_to(run)

    def log_to(self, run: Recording, aliases: Texts = None, tags: Texts = None) -> None:
        """Log a draft as an output of a run. If it is logged already, add the aliases and tags, and the output.

        Args:
            run: The run that logs it.
            aliases: Aliases for the version.
            tags: Tags for the version.
        """
        labels = (tags,) if isinstance(tags, str) else tuple(tags or ())
        run.logged(self._made(run, Properties(new_aliases(aliases), labels), str(run.path), "latest").found())

    def use_in(self, run: Recording, aliases: Texts = None, use_as: str | None = None) -> None:
        """Record this artifact as an input of a run.

        A draft is logged first, unless a live version has the same content.

        Args:
            run: The run that uses it.
            aliases: Aliases to add to the version.
            use_as: The role in which the run uses it, for W&B's scripts.
        """
        run.used(self._made(run, Properties(new_aliases(aliases)), None, "any").found(), use_as)

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
        with self._drafting.saving() as draft:
            saved = draft.save(
                Path(*run.home, self._name), type=self._type, properties=properties, run=producer, upsert=upsert,
                writer=writer, incremental=self._incremental, origins=self._drafting.origins(), reuse=reuse,
            )  # fmt: skip
            extras = {} if saved.is_new else draft.extras()
        self._drafting.announce_saved()
        stored = Stored(run.root, Version(saved.collection, saved.collection.versions[saved.id]))
        if lost := sum(not stored.has_extra(path, keys) for path, keys in extras.items()):
            name = stored.found().name
            what = f"dropped the extra keys of {count(lost, 'file')}"
            warn_caller(f"{what}: {name} has the same content, and its entries never change")
        self._become(stored)
        run.repository.retain(saved.collection)
        run.repository.tidy(saved.new_bytes)
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
            InvalidValue: If the artifact is incremental.
        """
        self._refuse_logged("upsert_artifact")
        refuse_incremental(self._incremental, upsert)
        properties = Properties(aliases=new_aliases(aliases)).checked()
        owner, path = this_process(), Path(*run.home, self._name)
        writer = f"run {run.path.id} (process {owner.pid} on {owner.host.rpartition('-')[0]})"
        with self._drafting.locked():
            if finish:
                self._log(run, properties, str(run.path), "latest", upsert, writer)
            else:
                self._check_place(run)
                with self._drafting.saving() as draft:
                    draft.save_part(path, upsert, type=self._type, writer=writer, run=str(run.path))
                self._drafting.finalize()
        if finish:
            run.logged(self._logged("log").found())

    def is_in(self, root: str) -> bool:
        """Whether this repository holds the artifact, or none does yet."""
        own = self._stored.root if self._stored is not None else self._drafting.root
        return own in (None, root)

    def _check_place(self, run: Recording) -> None:
        """Raises InvalidValue in another repository, Conflict for a draft of another project's version."""
        if self._home is not None and self._home != run.home:
            (entity, project), (other, elsewhere) = self._home, run.home
            if entity != other:
                raise Conflict(f"Artifact {self.name} is owned by entity '{entity}'; it can't be moved to '{other}'")
            what = f"Artifact {self.name} exists in project '{project}'; it can't be moved to '{elsewhere}'"
            raise Conflict(what, hint="link or copy the version into this project, or make another Artifact")
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
        draft = Artifact.of_reserved_type(path.name, self.type)
        draft.description, draft.metadata = self.description, self.metadata
        draft._home = path[:2]
        draft._drafting.start_from(stored, base)
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version. For a link, only remove the link.

        Its name, number, size and date stay on record. `artstore gc` frees its space; until then `artstore undelete`
        can bring it back.

        Args:
            delete_aliases: Delete it even if it has links or aliases. The newest version has `latest`. The links stay.

        Raises:
            Conflict: If it has links or aliases, and `delete_aliases` is False, or if it was found by a number that
                another version had before a pull.

        Example:
            >>> images = wandb.Api().artifact("digits/images:v0")
            >>> images.delete(delete_aliases=True)  # it is the newest
            >>> images.state
            'DELETED'
        """
        stored = self._logged("delete")
        stored.refuse_renumbered()
        if self.is_link:
            self.unlink()
            return
        try:
            stored.repository.delete(stored.spec, delete_aliases=delete_aliases, latest_holds=True)
        except Conflict as error:
            raise Conflict(error.message, hint="delete(delete_aliases=True) deletes it anyway") from error

    def logged_by(self) -> RunRecord | None:
        """The run that logged this version first. None if no run did, or if its record isn't in this repository.

        Example:
            >>> wandb.Api().artifact("digits/model:latest").logged_by()
            <Run local/digits/train-1 (finished)>
        """
        stored, run = self._logged("logged_by"), self._producer()
        return None if run is None else RunRecord(stored.root, run)

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

    def json_encode(self) -> dict[str, Any]:
        """The version as a value of a run's config, with W&B's keys."""
        source, version = self._logged("json_encode").source_path, self.source_version
        told = {"id": self.id, "version": version, "sequenceName": source.name, "usedAs": self.use_as}
        return {"_type": "artifactVersion", "_version": "v0", **told}

    def __repr__(self) -> str:
        if self._stored is None:
            return f"<Artifact {self._name} (draft)>"
        return f"<Artifact {self.qualified_name} ({self.type})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Artifact) or self._stored is None or other._stored is None:
            return self is other
        mine, theirs = self._stored, other._stored
        return (mine.id, mine.root) == (theirs.id, theirs.root) and mine.path == theirs.path

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A logged artifact is pickled and copied as a version of its repository, a draft as another draft there."""
        return super().__reduce_ex__(protocol) if self._stored is None else (_of_stored, (self._stored,))

    def __copy__(self) -> "Artifact":
        return copy.deepcopy(self)  # a draft of its own: two that shared one would end it twice

    def __hash__(self) -> int:
        return hash(Artifact)  # a log or a rename may change everything else, and must not change this

    def _repr_html_(self) -> str:
        rows = [("type", self.type), ("state", self.state), ("size", human(self.size))]
        if self._stored is not None:
            rows += [("files", f"{self.file_count:,}"), ("aliases", ", ".join(self.aliases))]
            rows += [("tags", ", ".join(self.tags)), ("digest", self.digest), ("created", self.created_at)]
        rows += [("description", self.description)] if self.description else []
        rows += [(f"metadata {key}", repr(value)) for key, value in self.metadata.items()]
        return page(self.name if self._stored is None else self.qualified_name, definition_rows(rows))


def _of_stored(stored: Stored) -> Artifact:
    artifact = Artifact(stored.path.name)
    artifact._become(stored)
    return artifact
