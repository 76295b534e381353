"""The protocol by which large blobs are packed, as a model: every interleaving and crash of packers, savers and collectors.

One blob X, which versions need. It is a file, or packs hold it: `whole.*` has a recipe of X and all segments, `recipe1.*`
a recipe that names a segment in the pack `other1`, which is of another artifact: one that it shares, or the base of a
delta. An encoder stores X without deltas, because nothing else needs the base; then the recipe with deltas can go. Each `yield` of an actor is one step that
the real code takes as one system call (or one listing). The real code's steps are those of packing.py (packer), relied.py
(saver), mark.py and removal.py (collector).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.guarantees.schedule.explorer import Actor, Explorer

PACKS_ONCE = "packs are not listed again"
NO_SECOND_LOOK = "nobody looks again whether a file is needed"
ONE_COPY = "the mark takes one copy's edges"
NOT_WHOLE = "a recipe goes because of another one, of which a part is missing"
MUTATIONS = (PACKS_ONCE, NO_SECOND_LOOK, ONE_COPY, NOT_WHOLE)

FILE = "file"


class World(NamedTuple):
    """All that is on disk, and where everybody is."""

    stored: frozenset[str]
    """in objects/: the file of X, and packs"""
    trash: frozenset[tuple[int, str]]
    """(run, file or pack)"""
    live: frozenset[int]
    """versions with X that refs name as live"""
    acked: frozenset[int]
    other: bool
    """whether the other artifact is live"""
    actors: tuple[Actor, ...]


Step = Iterator[World]


def is_whole(stored: Iterable[str]) -> bool:
    """Whether X can be read from these."""
    there = set(stored)
    segments = {name[-1] for name in there if name.startswith("other")}
    recipes = {name[6] for name in there if name.startswith("recipe")}
    return FILE in there or bool(segments & recipes) or any(name.startswith("whole") for name in there)


class Model(Explorer[World]):
    def __init__(self, roles: tuple[str, ...], stored: Iterable[str], mutation: str | None = None) -> None:
        super().__init__(mutation)
        actors = tuple(Actor(role) for role in roles)
        self.start = World(frozenset(stored), frozenset(), frozenset({-1}), frozenset({-1}), True, actors)
        self.programs = {
            "saver": self.saver,
            "packer": self.packer,
            "encoder": self.encoder,
            "collector": self.collector,
            "deleter": lambda world, me, actor: iter([self.move(world, me, "done", live=world.live - {-1})]),
            "other's deleter": lambda world, me, actor: iter([self.move(world, me, "done", other=False)]),
        }

    def stored(self, world: World) -> frozenset[str]:
        return world.stored

    def is_readable(self, names: Iterable[str]) -> bool:
        return is_whole(names)

    # -- a saver that relies on X, in whatever form it is --

    def saver(self, world: World, me: int, actor: Actor) -> Step:
        if actor.at == "start":
            yield self.move(world, me, "open")
        elif actor.at == "open":
            yield self.move(world, me, "publish" if is_whole(world.stored) else "done")
        elif actor.at == "publish":
            yield self.move(world, me, "look again", live=world.live | {me})
        elif actor.at == "look again":
            if is_whole(world.stored):
                yield self.move(world, me, "acknowledge")
            elif world.trash:
                for _, name in world.trash:
                    yield self.move(world, me, "look again", stored=world.stored | {name})
            else:
                yield self.move(world, me, "done", live=world.live - {me})  # withdrawn by a further entry
        elif actor.at == "acknowledge":
            yield self.move(world, me, "done", acked=world.acked | {me})

    # -- a packer --

    def packer(self, world: World, me: int, actor: Actor) -> Step:
        if actor.at == "start":
            yield self.move(world, me, "open")
        elif actor.at == "open":  # the transaction's folder is there; now the segments are looked for
            if FILE not in world.stored or not world.live:
                yield self.move(world, me, "done")
                return
            others = [name for name in world.stored if name.startswith("other")]
            for name in others:
                yield self.move(world, me, "publish", name)
            if not others:
                yield self.move(world, me, "publish", None)
        elif actor.at == "publish":
            base = actor.memory[0]
            pack = f"recipe{base[-1]} by {me}" if isinstance(base, str) else f"whole by {me}"
            yield self.move(world, me, "take" if base is None else "look again", base, stored=world.stored | {pack})
        elif actor.at == "look again":
            base = actor.memory[0]
            if base in world.stored:
                yield self.move(world, me, "take")
            elif base in {name for _, name in world.trash}:
                yield self.move(world, me, "look again", base, stored=world.stored | {base})
            else:
                yield self.move(world, me, "done")  # an error: the file stays
        elif actor.at == "take":
            if FILE in world.stored:
                yield self.move(world, me, "list", stored=world.stored - {FILE}, trash=world.trash | {(me, FILE)})
            else:
                yield self.move(world, me, "done")
        else:
            yield from self.finish(world, me, actor)

    # -- an encoder --

    def encoder(self, world: World, me: int, actor: Actor) -> Step:
        if actor.at == "start":
            yield self.move(world, me, "open")
        elif actor.at == "open":
            yield self.move(world, me, "read" if world.live and FILE not in world.stored else "done")
        elif actor.at == "read":  # the blob is read whole, and its segments are encoded anew
            yield self.move(world, me, "publish" if is_whole(world.stored) else "done")
        elif actor.at == "publish":
            yield self.move(world, me, "done", stored=world.stored | {f"whole by {me}"})

    # -- a collector --

    def collector(self, world: World, me: int, actor: Actor) -> Step:
        if actor.at == "start":
            yield self.move(world, me, "mark", self.refs(world))
        elif actor.at == "mark":
            for needed in self.marked(world, actor.memory[0]):
                todo = world.stored - needed | self.superseded(world)
                yield self.move(world, me, "moving", needed, frozenset(todo))
        elif actor.at == "moving":
            needed, todo = actor.memory
            assert isinstance(needed, frozenset) and isinstance(todo, frozenset)
            for name in sorted(world.stored & todo):
                if name != FILE or "X" not in needed or is_whole(world.stored - {FILE}):
                    taken = world.stored - {name}, world.trash | {(me, name)}
                    yield self.move(world, me, "moving", needed, todo, stored=taken[0], trash=taken[1])
            yield self.move(world, me, "list", needed)
        else:
            yield from self.finish(world, me, actor)

    def superseded(self, world: World) -> set[str]:
        """Recipes with deltas of a blob that is there whole without them."""
        recipes = {name for name in world.stored if name.startswith("recipe")}
        if self.mutation == NOT_WHOLE:
            return recipes - {max(recipes, default="")}
        return recipes if any(name.startswith("whole") for name in world.stored) else set()

    def refs(self, world: World) -> tuple[bool, bool]:
        return bool(world.live), world.other

    def marked(self, world: World, refs: object) -> Iterator[frozenset[str]]:
        """What is needed by these refs and the recipes that are stored now: packs, and X whether or not it is a file."""
        live, other = refs  # type: ignore[misc]
        needed = {name for name in world.stored if name.startswith("other")} if other else set[str]()
        if not live:
            yield frozenset(needed)
            return
        recipes = {name for name in world.stored if name.startswith(("recipe", "whole"))}
        edges = {f"other{name[6]}" for name in recipes if name.startswith("recipe")}
        for chosen in [{edge} for edge in edges] if self.mutation == ONE_COPY and edges else [edges]:
            yield frozenset({*needed, *recipes, *chosen, "X"})

    # -- what both do after they moved something --

    def finish(self, world: World, me: int, actor: Actor) -> Step:
        """Read refs, list packs, give back; look at transactions; the same again; unlink."""
        mine = sorted(name for run, name in world.trash if run == me)
        if actor.at in ("list", "list again"):
            yield self.move(world, me, actor.at.replace("list", "know"), self.refs(world), *actor.memory[:1])
        elif actor.at in ("know", "know again"):
            refs, *before = actor.memory
            old = before[0] if before and isinstance(before[0], frozenset) else frozenset()
            for new in [old] if self.mutation == PACKS_ONCE else self.marked(world, refs):
                needed = old | new | ({"X"} if refs[0] or actor.role == "packer" else set())  # type: ignore[index]
                yield self.move(world, me, actor.at.replace("know", "give"), frozenset(needed))
        elif actor.at in ("give", "give again"):
            (needed,) = actor.memory
            assert isinstance(needed, frozenset)
            back = next((name for name in mine if self.is_needed(world, name, needed)), None)
            if back is not None:  # linked into place first; the unlinking of this name is a step of its own
                yield self.move(world, me, f"drop {actor.at}", needed, back, stored=world.stored | {back})
            else:
                yield self.move(world, me, "look" if actor.at == "give" else "unlink", needed)
        elif actor.at.startswith("drop "):
            needed, back = actor.memory
            again = actor.at.removeprefix("drop ").replace("give", "list")  # what came back may be a recipe: it is read
            yield self.move(world, me, again, needed, trash=world.trash - {(me, back)})
        elif actor.at == "look":
            others = any(one.running and one.role != "collector" for n, one in enumerate(world.actors) if n != me)
            yield self.move(world, me, "done" if others else "list again", *actor.memory)
        elif actor.at == "unlink":
            if mine:
                yield self.move(world, me, "unlink", trash=world.trash - {(me, mine[0])})
            else:
                yield self.move(world, me, "done")

    def is_needed(self, world: World, name: str, needed: frozenset[str]) -> bool:
        """Whether something in the trash goes back: it is needed, and not stored in any form."""
        if name == FILE:
            return "X" in needed and self.mutation != NO_SECOND_LOOK and not is_whole(world.stored)
        if name.startswith("other"):
            return name in needed and name not in world.stored
        return "X" in needed and not any(one.startswith(("recipe", "whole")) for one in world.stored)
