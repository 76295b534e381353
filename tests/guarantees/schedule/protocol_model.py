"""The protocol by which stored bytes are taken away, as a model: every interleaving and crash of savers, collectors, mergers and a deleter.

One object X. Copies of it lie in packs; a version needs X. Each `yield` of an actor is one step that the real code takes as one
system call (or one listing); between any two steps every other actor may run, or any actor may die. The real code's steps
are those of transaction.py (saver), removal.py (collector, merger) and merge.py (merger).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.guarantees.schedule.explorer import Actor, Explorer

NO_RECHECK = "saver does not look again"
NO_SECOND_READ = "refs are not read a second time"
TRANSACTIONS_FIRST = "transactions are looked at before the moves"
SHARED_TRASH = "all runs share one trash folder"
MERGER_UNLINKS = "a merger unlinks at once"
NOTED_FIRST = "the transactions that trash waits for are noted before the moves"
MUTATIONS = (NO_RECHECK, NO_SECOND_READ, TRANSACTIONS_FIRST, SHARED_TRASH, MERGER_UNLINKS, NOTED_FIRST)


class World(NamedTuple):
    """All that is on disk, and where everybody is."""

    packs: frozenset[str]
    """in objects/"""
    trash: frozenset[tuple[int, str]]
    """(run, pack)"""
    live: frozenset[int]
    """versions that refs name as live"""
    acked: frozenset[int]
    actors: tuple[Actor, ...]
    noted: frozenset[tuple[int, frozenset[int]]] = frozenset()
    """(run, the transactions that were open after its moves, and that its trash waits for)"""


Step = Iterator[World]


class Model(Explorer[World]):
    def __init__(self, roles: tuple[str, ...], mutation: str | None = None) -> None:
        super().__init__(mutation)
        actors = tuple(Actor(role) for role in roles)
        self.start = World(frozenset({"old"}), frozenset(), frozenset({-1}), frozenset({-1}), actors)
        self.programs = {
            "saver": self.saver,
            "copier": self.saver,
            "heir": self.saver,
            "deleter": self.deleter,
            "collector": self.collector,
            "merger": self.merger,
        }

    def stored(self, world: World) -> frozenset[str]:
        return world.packs

    def is_readable(self, names: Iterable[str]) -> bool:
        """Every pack has X."""
        return any(names)

    def died(self, world: World, me: int) -> World:
        return self.move(world, me, "dead", noted=without(world.noted, me))

    # -- a saver: with a source (saver), without (copier: cp, undelete), or over a live version's tree (heir) --

    def saver(self, world: World, me: int, actor: Actor) -> Step:
        own = f"by {me}"
        if actor.at == "start":
            yield self.move(world, me, "open")
        elif actor.at == "open":  # the transaction's folder is there; now the existence test
            if actor.role == "heir" and -1 in world.live:
                yield self.move(world, me, "publish")
            elif world.packs:
                for pack in world.packs:
                    yield self.move(world, me, "publish", pack)
            elif actor.role == "saver":
                yield self.move(world, me, "publish", own, packs=world.packs | {own})
            else:
                yield self.move(world, me, "done")  # nothing to rely on: an error, nothing committed
        elif actor.at == "publish":
            after = "acknowledge" if self.mutation == NO_RECHECK else "recheck"
            yield self.move(world, me, after, *actor.memory, live=world.live | {me})
        elif actor.at == "recheck":
            if (actor.role == "heir" and not actor.memory and -1 in world.live) or world.packs:
                yield self.move(world, me, "acknowledge")
            else:
                yield self.move(world, me, "restore", *actor.memory)
        elif actor.at == "restore":
            if world.trash:
                for _, pack in world.trash:
                    yield self.move(world, me, "recheck", pack, packs=world.packs | {pack})
            elif actor.role == "saver" and own in actor.memory:
                yield self.move(world, me, "recheck", own, packs=world.packs | {own})  # its staged link
            elif world.packs:
                yield self.move(world, me, "recheck", *actor.memory)
            else:
                yield self.move(world, me, "done", live=world.live - {me})  # withdrawn by a further entry
        elif actor.at == "acknowledge":
            yield self.move(world, me, "done", acked=world.acked | {me})

    def deleter(self, world: World, me: int, actor: Actor) -> Step:
        yield self.move(world, me, "done", live=world.live - {-1})

    # -- what takes bytes away --

    def collector(self, world: World, me: int, actor: Actor) -> Step:
        if actor.at == "start":
            yield self.move(world, me, "done" if world.live else "marked")
            yield from self.claim(world, me)
        elif actor.at == "marked":
            if self.mutation == TRANSACTIONS_FIRST and self.others_open(world, me):
                yield self.move(world, me, "done")
                return
            first = frozenset({(me, self.others_open(world, me))}) if self.mutation == NOTED_FIRST else frozenset()
            yield self.move(world, me, "moving", noted=world.noted | first)
        elif actor.at == "moving":
            yield from self.take(world, me, set(world.packs))
            yield self.move(world, me, "read refs")
        else:
            yield from self.finish(world, me, actor, needed=bool(world.live))

    def claim(self, world: World, me: int) -> Step:
        """Rename the trash of a run that ended or died to one's own: that counts as the move."""
        for other in {run for run, _ in world.trash}:
            if other != me and not world.actors[other].running:
                trash = frozenset((me if run == other else run, pack) for run, pack in world.trash)
                noted = frozenset((me if run == other else run, waits) for run, waits in world.noted)
                yield self.move(world, me, "read refs", trash=trash, noted=noted)

    def merger(self, world: World, me: int, actor: Actor) -> Step:
        merged = f"merged by {me}"
        if actor.at == "start":
            yield self.move(world, me, "open")
        elif actor.at == "open":
            olds = frozenset(world.packs - {merged})
            yield self.move(world, me, "write", olds) if olds else self.move(world, me, "done")
        elif actor.at == "write":
            yield self.move(world, me, "moving", *actor.memory, packs=world.packs | {merged})
        elif actor.at == "moving":
            olds = actor.memory[0]
            assert isinstance(olds, frozenset)
            if self.mutation == MERGER_UNLINKS:
                yield self.move(world, me, "done", packs=world.packs - olds)
                return
            yield from self.take(world, me, set(olds & world.packs))
            yield self.move(world, me, "read refs")
        else:
            yield from self.finish(world, me, actor, needed=True)

    def take(self, world: World, me: int, packs: set[str]) -> Step:
        run = 0 if self.mutation == SHARED_TRASH else me
        for pack in packs:
            memory = world.actors[me].memory
            yield self.move(world, me, "moving", *memory, packs=world.packs - {pack}, trash=world.trash | {(run, pack)})

    def finish(self, world: World, me: int, actor: Actor, *, needed: bool) -> Step:
        """Read refs, give back; look at transactions; read refs, give back; unlink."""
        run = 0 if self.mutation == SHARED_TRASH else me
        mine = sorted(pack for owner, pack in world.trash if owner == run)
        if actor.at in ("read refs", "read again"):
            give = "give" if actor.at == "read refs" else "give again"
            yield self.move(world, me, give, needed)
        elif actor.at in ("give", "give again"):
            onward = "look" if actor.at == "give" else "unlink"
            if actor.memory[0] and mine and not world.packs:
                for pack in mine:  # linked into place first; the unlinking of this name is a step of its own
                    yield self.move(world, me, f"drop {onward}", pack, packs=world.packs | {pack})
            else:
                yield self.move(world, me, onward)
        elif actor.at.startswith("drop "):
            yield self.move(world, me, actor.at.removeprefix("drop "), trash=world.trash - {(run, actor.memory[0])})  # type: ignore[operator]
        elif actor.at == "look":
            waits = self.others_open(world, me) & dict(world.noted).get(me, self.others_open(world, me))
            if self.mutation != TRANSACTIONS_FIRST and waits:
                yield self.move(world, me, "done", noted=without(world.noted, me) | {(me, waits)})
            else:
                yield self.move(world, me, "unlink" if self.mutation == NO_SECOND_READ else "read again")
        elif actor.at == "unlink":
            if mine:
                yield self.move(world, me, "unlink", trash=world.trash - {(run, mine[0])})
            else:
                yield self.move(world, me, "done")

    def others_open(self, world: World, me: int) -> frozenset[int]:
        """Transactions whose owner is not provably dead: those of savers and mergers at work."""
        return frozenset(
            other
            for other, actor in enumerate(world.actors)
            if other != me and actor.running and actor.role != "collector"
        )


def without(noted: frozenset[tuple[int, frozenset[int]]], run: int) -> frozenset[tuple[int, frozenset[int]]]:
    """What is noted, but for one run."""
    return frozenset((other, waits) for other, waits in noted if other != run)
