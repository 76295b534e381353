"""Which schedules of a cast are played: those with few preemptions, one after another, and random ones.

A schedule is a list of turns: who goes on, for how many steps, and what becomes of it then. What it leaves open is played
without preemption, in the order of the cast. With bounded preemptions (as CHESS does): each order without any, then one more
preemption or crash at each step of those, where it can matter: before a step that conflicts with what the other would do, a
crash before a step that others see. Schedules in which all conflicting steps come in an order that was seen are not gone on
with. Random ones follow priorities that change at a few random steps (as PCT does), so that long overlaps are met, too.
"""

from collections.abc import Iterator
from itertools import groupby, permutations
from random import Random
from typing import NamedTuple

from tests.guarantees.schedule.stage import Played, Stage, distinct
from tests.guarantees.schedule.steps import DIES, HANGS, Actor, Choose, Run, Step

_CHANGES = 4
_CRASHES = 0.3


class Turn(NamedTuple):
    actor: int
    steps: int | None = None
    """None: to its end, or"""
    before: tuple[str, str] | None = None
    """its next step of this call, at a path that begins so"""
    fate: str | None = None


Schedule = tuple[Turn, ...]


def following(schedule: Schedule) -> Choose:
    turns, taken = list(schedule), 0

    def choose(run: Run, current: Actor | None) -> Actor | None:
        nonlocal taken
        while turns:
            turn = turns[0]
            actor = run.actors[turn.actor]
            if actor.fate is None and taken != turn.steps and not _stands_before(actor, turn):
                taken += 1
                return actor
            actor.fate = actor.fate or turn.fate
            taken = 0
            del turns[0]
        return current if current in run.runnable else next(iter(run.runnable), None)

    return choose


def _stands_before(actor: Actor, turn: Turn) -> bool:
    if turn.before is None or actor.next is None:
        return False
    call, start = turn.before
    return actor.next.call == call and any(path.startswith(start) for path in actor.next.reads + actor.next.writes)


class _Hot:
    """Steps that conflicted with another's in a schedule of this cast; elsewhere a change of turns changes nothing."""

    def __init__(self) -> None:
        self.most = 20
        self._known: set[Step] = set()
        self._hot: set[Step] = set()

    def __contains__(self, step: Step) -> bool:
        return step not in self._known or step in self._hot

    def learn(self, trace: list[Step]) -> None:
        for step in set(trace) - self._known:
            against = {other for other in trace if other.actor != step.actor and other.conflicts(step)}
            self._hot |= against | ({step} if against else set())
        self._known |= set(trace)
        self.most = max(self.most, sum(step in self._hot for step in trace))


def at_random(random: Random, actors: int, hot: _Hot) -> Choose:
    """Who goes first goes on, but at a few of its hot steps it becomes the last, or never goes on."""
    ranks = random.sample(range(actors), actors)
    changes = set(random.sample(range(hot.most), _CHANGES))
    passed = 0

    def choose(run: Run, current: Actor | None) -> Actor | None:
        nonlocal passed
        if current is not None and current.next in hot:
            if passed in changes:
                ranks[current.number] = min(ranks) - 1
                if random.random() < _CRASHES:
                    current.fate = random.choice((DIES, HANGS))
            passed += 1
        return max(run.runnable, key=lambda actor: ranks[actor.number], default=None)

    return choose


def schedule_of(played: Played, length: int | None = None) -> Schedule:
    """The turns that were taken in its first steps; with all of them, what replays it."""
    trace = played.trace[:length]
    turns = [Turn(actor, len(list(steps))) for actor, steps in groupby(trace, key=lambda step: step.actor)]
    for number, fate in enumerate(played.fates):
        steps = [i for i, step in enumerate(played.trace) if step.actor == number]
        if fate in (DIES, HANGS) and steps[-1] < len(trace):
            last = max(i for i, turn in enumerate(turns) if turn.actor == number)
            turns[last] = turns[last]._replace(fate=fate)
    return tuple(turns)


def systematic(stage: Stage, scene: str, cast: tuple[str, ...], most: int, random: Random) -> Iterator[Played]:
    """At most so many schedules, those with fewer preemptions first; of a level that doesn't fit in, a random part."""
    seen = set()
    level = [(tuple(Turn(actor) for actor in order), 0) for order in permutations(range(len(cast)))]
    while level and most > 0:
        if len(level) > most:
            level = random.sample(level, most)
        following_level = []
        for schedule, free in level:
            played = stage.play(scene, cast, following(schedule))
            yield played
            most -= 1
            if (key := (_order(played.trace), tuple(played.fates))) not in seen:
                seen.add(key)
                following_level.append((played, free))
        level = [child for played, free in following_level for child in _one_more(played, free)]


def randomly(stage: Stage, scene: str, cast: tuple[str, ...], most: int, random: Random) -> Iterator[Played]:
    hot = _Hot()
    for _ in range(most):
        played = stage.play(scene, cast, at_random(random, len(cast), hot))
        hot.learn(played.trace)
        yield played


def _one_more(played: Played, free: int) -> Iterator[tuple[Schedule, int]]:
    """The same with one more preemption or crash, at a step from `free` on; each with the first step that it leaves free."""
    trace = played.trace
    others = range(len(played.names))
    for at in range(free, len(trace)):
        step, before = trace[at], schedule_of(played, at)
        for other in others:
            if other != step.actor and any(s.actor == other and s.conflicts(step) for s in trace[at + 1 :]):
                rest = tuple(Turn(actor) for actor in others if actor not in (other, step.actor))
                yield (*before, Turn(other), Turn(step.actor), *rest), at + 1
                if rest:
                    yield (*before, Turn(other), *rest, Turn(step.actor)), at + 1
        if step.writes and any(turn.actor == step.actor for turn in before):
            last = max(i for i, turn in enumerate(before) if turn.actor == step.actor)
            for fate in (DIES, HANGS):
                yield (*before[:last], before[last]._replace(fate=fate), *before[last + 1 :]), at


def _order(trace: list[Step]) -> frozenset[tuple[int, ...]]:
    """In which order conflicting steps came: equal for schedules between which nobody can tell."""
    counts: dict[int, int] = {}
    numbered = []
    for step in trace:
        counts[step.actor] = counts.get(step.actor, 0) + 1
        numbered.append((step, counts[step.actor]))
    writing = [(at, step, number) for at, (step, number) in enumerate(numbered) if step.writes]
    return frozenset(
        (step.actor, number, other.actor, other_number, at < other_at)
        for at, step, number in writing
        for other_at, (other, other_number) in enumerate(numbered)
        if other.actor != step.actor and step.conflicts(other)
    )


def play(stage: Stage, scene: str, cast: tuple[str, ...], text: str) -> Played:
    """A schedule that was written down."""
    return stage.play(scene, cast, following(parse(text, distinct(cast))))


def told(schedule: Schedule, names: list[str]) -> str:
    """As text, which `parse` reads."""
    turns = (f"{names[turn.actor]} {turn.steps or ''} {turn.fate or ''}".split() for turn in schedule)
    return ", ".join(" ".join(words) for words in turns)


def parse(text: str, names: list[str]) -> Schedule:
    """`saver 12, collector to rename objects/packs, saver dies, collector`: so many steps, up to a step, to its end."""
    turns = []
    for words in (part.split() for part in text.split(",")):
        fate = words.pop() if words[-1] in (DIES, HANGS) else None
        name, *rest = words
        steps = int(rest[0]) if len(rest) == 1 else 0 if fate and not rest else None
        turns.append(Turn(names.index(name), steps, (rest[1], rest[2]) if len(rest) == 3 else None, fate))
    return tuple(turns)
