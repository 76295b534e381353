"""Links that others put among the files of a run that is being recorded, in a repository that they may write to."""

import os
from pathlib import Path
from typing import Any

import pytest

from artstore.api.recording import Recording, start
from artstore.api.surroundings.console import LOG, Console
from artstore.api.surroundings.samples import EVENTS, Sampler, can_sample
from artstore.errors import Refused, SourceError
from artstore.operations.saving import sealing
from artstore.repository import Repository
from tests.support.runs import folder, root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's, which nobody else may write to."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "own").write_text("own")
    return place


def begun() -> tuple[Recording, Path]:
    """A run with a file that isn't sealed, and the folder that holds it."""
    recording = start(root(), id="r")
    recording.add_file("first", b"1")
    recording.growing_file(LOG)
    (place, *_) = sorted(folder("r").glob("files.*"), key=lambda path: not (path / "first").exists())
    return recording, place


def test_a_file_of_a_run_is_written_through_no_link(here: Path, outside: Path) -> None:
    recording, place = begun()
    (place / "media").symlink_to(outside)
    with pytest.raises(Refused, match="'media' in .* is in the way: it is a symlink"):
        recording.add_file("media/x", b"theirs")
    (place / "y").symlink_to(outside / "own")
    recording.add_file("y", b"replaced")
    assert os.listdir(outside) == ["own"] and (outside / "own").read_text() == "own"
    (place / "media").unlink()
    recording.finish(0, {})


@pytest.mark.parametrize(
    "file", [LOG, pytest.param(EVENTS, marks=pytest.mark.skipif(not can_sample(), reason="psutil"))]
)
def test_console_output_and_samples_are_written_through_no_link(here: Path, outside: Path, file: str) -> None:
    link = here / file
    link.symlink_to(outside / "own")
    if file == LOG:
        console = Console(lambda: str(link), str, [])
        console.capture(0, "theirs\n")
        console.flush()
        assert console.error is not None
    else:
        sampler = Sampler(lambda: str(link), 0.1, lambda: None)
        sampler._ended.acquire(timeout=20)
        sampler._ended.release()
    assert (outside / "own").read_text() == "own"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_comes_while_a_run_is_sealed_brings_no_file_from_elsewhere(
    here: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    recording, place = begun()
    recording.add_file("sub/own", b"the run's")
    staged_in = sealing.staged_in

    def swapped(*arguments: Any) -> Any:
        found = list(staged_in(*arguments))
        where = place / "sub" if what == "folder" else place / "sub/own"
        if any(path == b"sub/own" for path, _, _ in found):
            where.rename(here / "moved")
            where.symlink_to(outside if what == "folder" else outside / "own")
        return found

    monkeypatch.setattr(sealing, "staged_in", swapped)
    with pytest.raises(SourceError, match="leads out of"):
        recording.finish(0, {})
    with Repository(root()) as repository:
        assert repository.runs.all()[0].folders() == []
