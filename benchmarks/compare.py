"""Measures a case: rounds in which the judged command and its floor run one after the other, and its checks."""

from __future__ import annotations

from benchmarks.cases import Case, Check
from benchmarks.measure import Command, CommandError, Run, measure
from benchmarks.place import Bench, Place
from benchmarks.results import CaseResult, Figure, Timed
from benchmarks.sides import Side

SHORT_FACTOR = 3  # a short command is measured so many times more often
MILLION_ROUNDS = 3


def measure_case(bench: Bench, case: Case) -> CaseResult:
    place, floor_place = bench.place(case.workload), bench.place(case.floor_workload or case.workload)
    result = CaseResult(case.name, case.workload, case.limit, bool(case.floor_workload), _timed(place, case.top))
    halves = [(place, case.top, result.top)]
    if case.floor:
        result.floor = _timed(floor_place, case.floor)
        halves.append((floor_place, case.floor, result.floor))
    if case.plus:
        result.plus = _timed(place, case.plus)
        halves.append((place, case.plus, result.plus))
    try:
        for turn in range(_rounds(bench, case)):
            bench.make_room(place)
            for side_place, side, timed in halves if turn % 2 else reversed(halves):
                command = side.prepare(side_place, turn)
                run = measure(command, memory=case.samples_memory)
                timed.command = timed.command or bench.shown(command)
                timed.runs.append(run)
                if timed is result.top:
                    _check(case, place, command, run, result)
                side_place.remove_if_few_files(command.makes)
    except CommandError as error:
        result.error = bench.without_paths(str(error))
    return result


def _timed(place: Place, side: Side) -> Timed:
    return Timed(side.label, "", place.files, place.name)


def _rounds(bench: Bench, case: Case) -> int:
    rounds = bench.settings.rounds
    if case.workload == "million":
        return min(rounds, MILLION_ROUNDS)
    return rounds * SHORT_FACTOR if case.short else rounds


def _check(case: Case, place: Place, command: Command, run: Run, result: CaseResult) -> None:
    """Probe the figures of this run; of several runs the worst value is kept."""
    values = [check.probe(place, command, run) for check in case.checks]
    if not result.figures:
        result.figures = [_figure(check, value) for check, value in zip(case.checks, values, strict=True)]
    for figure, value in zip(result.figures, values, strict=True):
        figure.value = min(figure.value, value) if figure.at_least else max(figure.value, value)


def _figure(check: Check, value: float) -> Figure:
    return Figure(check.label, value, check.limit, check.unit, check.at_least)
