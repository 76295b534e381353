"""What models of protocols share: their actors, and the search through every interleaving and crash."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

Memory = tuple[object, ...]


class Actor(NamedTuple):
    """Where an actor is in its program; `done` and `dead` ones take no more steps."""

    role: str
    at: str = "start"
    memory: Memory = ()

    @property
    def running(self) -> bool:
        return self.at not in ("start", "done", "dead")


class Worldly(Protocol):
    """All that is on disk, and where everybody is: a NamedTuple with these fields, and more."""

    @property
    def trash(self) -> frozenset[tuple[int, str]]:
        """(run, file)"""

    @property
    def live(self) -> frozenset[int]:
        """versions that refs name as live"""

    @property
    def acked(self) -> frozenset[int]: ...
    @property
    def actors(self) -> tuple[Actor, ...]: ...
    def _replace(self, **changes: Any) -> Any: ...


World = TypeVar("World", bound=Worldly)


class Explorer(Generic[World]):
    """Explores all states of a model from its start; `mutation` leaves one safeguard out."""

    start: World
    programs: dict[str, Callable[[World, int, Actor], Iterator[World]]]

    def __init__(self, mutation: str | None) -> None:
        self.mutation = mutation

    def stored(self, world: World) -> frozenset[str]:
        """The files in objects/."""
        raise NotImplementedError

    def is_readable(self, names: Iterable[str]) -> bool:
        """Whether these files are enough to read what the versions need."""
        raise NotImplementedError

    def died(self, world: World, me: int) -> World:
        """The world after an actor died."""
        return self.move(world, me, "dead")

    def explore(self) -> tuple[int, list[World]]:
        """(states, those that violate what was promised)."""
        seen, todo, bad = {self.start}, [self.start], []
        while todo:
            world = todo.pop()
            if self.violates(world):
                bad.append(world)
                continue
            for after in self.steps(world):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return len(seen), bad

    def violates(self, world: World) -> bool:
        """Lost: a version is live that nobody can read, and nobody is at work on it. Or stranded: everybody ended as they
        should, and what an acknowledged version needs is in the trash only."""
        stored = self.stored(world)
        if self.is_readable(stored):
            return False
        if not self.is_readable([*stored, *(name for _, name in world.trash)]):
            at_work = {me for me, actor in enumerate(world.actors) if actor.running}
            return any(version not in at_work for version in world.live)
        return all(actor.at in ("start", "done") for actor in world.actors) and bool(world.acked & world.live)

    def steps(self, world: World) -> Iterator[World]:
        for me, actor in enumerate(world.actors):
            if actor.at in ("done", "dead"):
                continue
            yield from self.programs[actor.role](world, me, actor)
            if actor.running:
                yield self.died(world, me)

    def move(self, world: World, me: int, at: str, *memory: object, **changes: object) -> World:
        actor = world.actors[me]._replace(at=at, memory=memory)
        after: World = world._replace(actors=(*world.actors[:me], actor, *world.actors[me + 1 :]), **changes)
        return after
