"""Calls that run at once."""

import contextlib
import os
import threading
import time
import warnings
from contextlib import closing

import pytest

from artstore.backends.parallel import reported, together


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


def told(seconds: float, *, after: float = 0.02) -> list[str]:
    """The warnings of a wait."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with reported("the place", after):
            time.sleep(seconds)
    return [str(one.message) for one in caught]


def test_each_wait_that_is_too_long_is_reported() -> None:
    text = "the place has not answered for 0 seconds; waiting"
    assert [told(seconds) for seconds in (0.3, 0, 0.3)] == [[text], [], [text]]


def test_waits_at_the_same_place_are_reported_together_and_watched_by_one_thread() -> None:
    told(0)
    threads = threading.active_count()
    with contextlib.ExitStack() as waits:
        for _ in range(20):
            waits.enter_context(reported("the place", 0.02))
        assert threading.active_count() == threads
        assert len(told(0.3)) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of Python 3.12 and later
def test_a_wait_in_a_forked_child_is_reported() -> None:
    told(0)
    pid = os.fork()
    if not pid:
        os._exit(len(told(0.3)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
