"""Times of answers tell nothing: what may not be seen takes as long as what isn't there.

Tries of both kinds are mixed at random and compared by Welch's t, also without their slowest tenth, which is noise. Of
two sets of times with |t| < 4.5 nobody says that they differ (Reparaz, Balasch and Verbauwhede, "Dude, is my code
constant time?", 2017).
"""

import http.client
import json
import math
import os
import random
import secrets
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from artstore.domain.digest import BLOB, digest_of
from tests.support.matrix import BIG
from tests.support.served import Asking, Server

TRIES = 1000
DIFFERENT = 4.5
VISION, HIDDEN = "refs/local/vision/data", "refs/local/hidden/data"


def _welch(one: list[float], other: list[float]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.mean(one) - statistics.mean(other)) / math.sqrt(spread)


def _differ(times: list[list[float]]) -> tuple[float, float]:
    """Welch's t of two sets of times, and without the slowest tenth of both together."""
    limit = sorted(times[0] + times[1])[len(times[0] + times[1]) * 9 // 10]
    first, second = ([one for one in some if one <= limit] for some in times)
    return _welch(*times), _welch(first, second)


def _measured(calls: tuple[Callable[[], object], Callable[[], object]], tries: int) -> tuple[float, float]:
    times: list[list[float]] = [[], []]
    for which in (number % 2 for number in range(40)):
        calls[which]()
    for _ in range(tries):
        for which in random.sample((0, 1), 2):
            began = time.perf_counter()
            calls[which]()
            times[which].append(time.perf_counter() - began)
    return _differ(times)


def _requests(asking: Asking, id: str) -> dict[str, Callable[[bool], tuple[str, str, object]]]:
    """What is asked: of something that is there and may not be seen, or of nothing."""
    label, big = digest_of(BLOB, b"hidden\n"), digest_of(BLOB, b"hidden" + BIG)
    through, transaction = [[VISION, [id]]], asking.begin()

    def digests(there: bool) -> object:
        return {"through": through, "digests": [label.hex() if there else os.urandom(32).hex()]}

    def project(there: bool) -> str:
        return HIDDEN if there else HIDDEN.replace("hidden", "absent")

    return {
        "a log": lambda there: ("POST", "/log", {"folder": project(there)}),
        "a listing": lambda there: ("POST", "/listing", {"folder": project(there), "id": id}),
        "an object": lambda there: ("POST", "/objects", digests(there)),
        "what is held": lambda there: ("POST", f"/transactions/{transaction}/held", digests(there)),
        "a large blob": lambda there: (
            "GET", f"/blobs/{big.hex() if there else os.urandom(32).hex()}?log={VISION}&id={id}", None,
        ),
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("what", ["a log", "a listing", "an object", "what is held", "a large blob"])
def test_what_is_hidden_takes_as_long_as_what_is_not_there(askers: dict[str, Asking], what: str) -> None:
    writer = askers["writer"]
    id = next(
        change["id"] for change in json.loads(writer.entries(VISION)[0])["changes"] if change["kind"] == "version"
    )
    asked, address = _requests(writer, id)[what], urlsplit(writer.url)
    headers, answers = {"Authorization": f"Bearer {writer.secret}"}, set[tuple[int, int]]()
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)) as connection:

        def ask(there: bool) -> None:
            method, path, body = asked(there)
            connection.request(method, f"/v1{path}", json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            answers.add((answer.status, len(answer.read())))

        found = _measured((lambda: ask(True), lambda: ask(False)), TRIES)
    assert len(answers) == 1, answers
    assert max(map(abs, found)) < DIFFERENT, found


@pytest.mark.long
def test_a_token_that_is_nearly_right_takes_as_long_as_another_wrong_one(
    askers: dict[str, Asking], server: Server
) -> None:
    """Both have the id of a token, which isn't secret. All tries are made alike, before, and in the order of their use."""
    secret, find, clock = askers["writer"].secret or "", server.tokens.find, time.perf_counter
    known = (len(secret) - 2, len("_".join(secret.split("_", 2)[:2])) + 1)
    tries: list[tuple[int, str]] = []
    for _ in range(20 * TRIES):
        for which in random.sample((0, 1), 2):
            size = known[which]
            tries.append((which, secret[:size] + secrets.token_urlsafe(64)[: len(secret) - size]))
    times: list[list[float]] = [[], []]
    for which, text in tries:
        began = clock()
        find(text)
        times[which].append(clock() - began)
    found = _differ(times)
    assert max(map(abs, found)) < DIFFERENT, found
