"""Calls that run at once."""

import threading
from contextlib import closing

import pytest

from artstore.backends.parallel import together


def test_answers_come_in_the_order_of_the_items_and_so_many_calls_run_at_once() -> None:
    meet = threading.Barrier(3)

    def call(number: int) -> tuple[int, int]:
        return number, meet.wait(10)

    answers = list(together(call, range(6), most=3))
    assert [number for number, _ in answers] == list(range(6))
    assert sorted(place for _, place in answers) == [0, 0, 1, 1, 2, 2]


def test_a_single_call_needs_no_thread() -> None:
    assert list(together(lambda _: threading.current_thread(), ["one"], most=4)) == [threading.current_thread()]


def test_after_an_error_no_further_call_begins_and_those_that_run_are_waited_for() -> None:
    begun, ended, failed = list[int](), list[int](), threading.Event()

    def call(number: int) -> None:
        begun.append(number)
        if number == 0:
            failed.set()
            raise OSError("the first")
        failed.wait(10)
        ended.append(number)

    with pytest.raises(OSError, match="the first"):
        list(together(call, range(100), most=2))
    assert len(begun) < 100 and set(begun) == {0, *ended}


def test_an_error_between_two_answers_ends_the_calls_too() -> None:
    begun, ended = list[int](), list[int]()

    def call(number: int) -> int:
        begun.append(number)
        threading.Event().wait(0.01)
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="mine"), closing(together(call, range(100), most=2)) as answers:
        for _ in answers:
            raise ValueError("mine")
    assert len(begun) < 100 and set(begun) == set(ended)
