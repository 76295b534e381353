"""Sounds, videos, pages, 3D objects, histograms and plots: what they are made of."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import artstore as wandb
from artstore.api.media.content import read
from artstore.errors import ArtstoreError, NotFound
from tests.support.media import KINDS, gif, one_of_each, plot, wav


def bytes_of(media: Any) -> bytes:
    return read(media.content)


def test_a_sound_of_samples_is_a_wav_file() -> None:
    soundfile = pytest.importorskip("soundfile")
    sound = wandb.Audio(np.zeros(4000), sample_rate=8000, caption="silence")
    samples, rate = soundfile.read(io.BytesIO(bytes_of(sound)))
    assert (len(samples), rate, sound.duration, sound.caption) == (4000, 8000, 0.5, "silence")
    assert sound == wandb.Audio(np.zeros(4000), sample_rate=8000, caption="silence")
    assert sound != wandb.Audio(np.zeros(4000), sample_rate=8000)


def test_a_sound_of_a_file_keeps_its_bytes() -> None:
    sound = wandb.Audio(wav("bell.wav"))
    assert bytes_of(sound) == Path("bell.wav").read_bytes() and repr(sound) == "<Audio bell.wav>"


def test_a_page_gets_the_lines_that_wandb_puts_in() -> None:
    lines = '<base target="_blank"><link rel="stylesheet" type="text/css" href="https://app.wandb.ai/normalize.css" />'
    assert wandb.Html("<p>x</p>").html == f"{lines}<p>x</p>"
    assert len(bytes_of(wandb.Html("<p>x</p>"))) == 113
    assert wandb.Html("<html><head><title>").html == f"<html><head>{lines}<title>"
    assert wandb.Html("<html><body>").html == f"<html><head>{lines}</head><body>"
    assert wandb.Html("<p>x</p>", inject=False).html == "<p>x</p>"


def test_a_page_is_a_text_a_file_or_an_open_file() -> None:
    Path("page.html").write_text("é")
    for given in ("page.html", Path("page.html"), io.StringIO("é"), io.BytesIO("é".encode()), "é"):
        assert wandb.Html(given, inject=False).html == "é"
    assert wandb.Html("page.html", inject=False, data_is_not_path=True).html == "page.html"
    assert wandb.Html("page.htm\0l", inject=False).html == "page.htm\0l"


def test_a_video_is_a_file_or_bytes() -> None:
    video = wandb.Video(gif("steps.gif"), caption="steps")
    assert (video.format, video.ending()) == ("gif", ".gif")
    assert bytes_of(wandb.Video(io.BytesIO(b"abc"), format="mp4")) == b"abc"


def test_a_video_of_an_array_needs_moviepy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moviepy.video.io.ImageSequenceClip", None)
    with pytest.raises(NotFound, match="a Video of an array needs moviepy, which is not installed here") as said:
        wandb.Video(np.zeros((2, 3, 4, 4)), format="mp4")
    assert said.value.hint == "`pip install moviepy`"


def test_videos_of_one_array_are_put_into_a_grid() -> None:
    from artstore.api.media.video import _tiled

    frames = np.arange(3)[:, None, None, None, None] * np.ones((3, 2, 3, 4, 5)) + 1
    tiled = _tiled(frames)
    assert tiled.shape == (2, 8, 10, 3)
    assert [int(tiled[0, y, x, 0]) for y in (0, 4) for x in (0, 5)] == [1, 2, 3, 0]
    assert _tiled(np.zeros((2, 3, 4, 5))).shape == (2, 4, 5, 3)


def test_points_are_stored_as_json() -> None:
    assert json.loads(bytes_of(wandb.Object3D(np.ones((2, 3))))) == [[1, 1, 1], [1, 1, 1]]
    cloud = wandb.Object3D.from_point_cloud(points=[(0, 1, 2)], boxes=[{"corners": [[0, 0, 0]], "label": "x"}])
    wanted = {
        "type": "lidar/beta", "vectors": [], "points": [[0, 1, 2]], "boxes": [{"corners": [[0, 0, 0]], "label": "x"}],
    }  # fmt: skip
    assert json.loads(bytes_of(cloud)) == wanted
    assert wandb.Object3D.from_numpy(np.ones((2, 6))).ending() == ".pts.json"


def test_a_box_of_a_point_cloud_is_turned_as_its_quaternion_says() -> None:
    half = np.sqrt(0.5)  # a quarter of a turn around z, either way
    for sign in (1, -1):
        box = wandb.box3d(center=(1, 0, 0), size=(4, 2, 0), orientation=(half, 0, 0, sign * half), color=(1, 0, 0))
        assert np.allclose(box["corners"][0], (1 + sign, -2 * sign, 0))
    cloud = wandb.Object3D.from_point_cloud(points=[(0, 0, 0)], boxes=[box])
    assert json.loads(bytes_of(cloud))["boxes"][0]["color"] == [1, 0, 0]
    with pytest.raises(ValueError, match="a box needs a center and a size of three numbers"):
        wandb.box3d(center=(1, 0), size=(4, 2, 0), orientation=(0, 0, 0, 0), color=(1, 0, 0))


def test_a_scene_is_a_file_or_an_open_file() -> None:
    Path("cube.obj").write_text("o cube")
    with open("cube.obj") as file:
        given = [
            wandb.Object3D("cube.obj"),
            wandb.Object3D(file),
            wandb.Object3D.from_file(io.StringIO("o cube"), "obj"),
        ]
    assert [(bytes_of(each), each.ending()) for each in given] == [(b"o cube", ".obj")] * 3


def test_a_histogram_counts_values_or_takes_counts() -> None:
    counted = wandb.Histogram([1, 2, 2, 5], num_bins=4)
    assert (counted.histogram, counted.bins) == ([1, 2, 0, 1], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert counted == wandb.Histogram(np_histogram=np.histogram([1, 2, 2, 5], bins=4)) != wandb.Histogram([1])
    assert len(wandb.Histogram([1, 2, 3]).histogram) == 64


def test_a_plot_is_a_figure_of_plotly_or_its_file() -> None:
    graphs = pytest.importorskip("plotly.graph_objects")
    figure = graphs.Figure(data=[graphs.Scatter(y=np.array([2.0, np.nan, 1.0]))])
    plotted = wandb.Plotly(figure)
    assert json.loads(bytes_of(plotted))["data"][0]["y"] == [2.0, None, 1.0]
    assert plotted.figure.data[0].y[0] == 2.0
    heat = wandb.Plotly(graphs.Figure(data=[graphs.Heatmap(z=np.ones((2, 3)))]))
    assert json.loads(bytes_of(heat))["data"][0]["z"] == [[1, 1, 1], [1, 1, 1]]
    assert json.loads(bytes_of(wandb.Plotly(plot("a.plotly.json"))))["data"][0]["y"] == [2, 1]


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "no rate": (lambda: wandb.Audio(np.zeros(3)), ValueError, 'Argument "sample_rate" is required when instantiating'),
    "no sound": (lambda: wandb.Audio(np.zeros((2, 2, 2)), 8000), ValueError, "can't be stored as a sound"),
    "no page": (lambda: wandb.Html(3), ValueError, "data must be a string or an io object"),
    "a format": (lambda: wandb.Video("a.avi"), ValueError, "wandb.Video accepts gif, mp4, webm, ogg formats"),
    "no format": (lambda: wandb.Video(io.BytesIO(b"")), ValueError, "wandb.Video requires a `format` argument"),
    "no frames": (lambda: wandb.Video(3, format="gif"), ValueError, "wandb.Video accepts a file path or numpy like"),
    "one frame": (lambda: wandb.Video(np.zeros((3, 4, 4)), format="gif"), ValueError, "Video must be at least 4 dim"),
    "a scene": (lambda: wandb.Object3D("a.txt"), ValueError, "File 'a.txt' is not compatible with Object3D"),
    "no type": (lambda: wandb.Object3D(io.StringIO("")), ValueError, "Must pass file type keyword argument"),
    "a type": (lambda: wandb.Object3D(io.StringIO(""), file_type="x"), ValueError, "Object 3D only supports numpy"),
    "columns": (lambda: wandb.Object3D(np.ones((2, 5))), ValueError, "The shape of the numpy array must be one of"),
    "a dict": (lambda: wandb.Object3D({"type": "x"}), ValueError, "Type not supported, only 'lidar/beta'"),
    "no points": (lambda: wandb.Object3D(3), ValueError, "data must be a numpy array, dict or a file object"),
    "no array": (lambda: wandb.Object3D.from_numpy([[1]]), ValueError, "`data` must be a numpy array"),
    "a cloud": (lambda: wandb.Object3D.from_point_cloud([], [], point_cloud_type="x"), ValueError, "Point cloud type"),
    "ranges": (lambda: wandb.Histogram([1], num_bins=513), ValueError, "The maximum length of a histogram is 512"),
    "edges": (lambda: wandb.Histogram(np_histogram=([1], [1])), ValueError, r"len\(bins\) must be len"),
    "a tuple": (lambda: wandb.Histogram(np_histogram=([1],)), ValueError, "Expected np_histogram to be a tuple of"),
    "values": (lambda: wandb.Histogram(["a"]), ValueError, "the values can't be counted"),
    "a plot": (lambda: wandb.Plotly(3), ValueError, "Logged plots must be plotly figures"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_media_is_refused_as_in_wandb(name: str) -> None:
    make, kind, words = REFUSED[name]
    if name == "no sound":
        pytest.importorskip("soundfile")
    with pytest.raises(kind, match=words) as said:
        make()
    assert isinstance(said.value, ArtstoreError)


def test_molecules_and_bokeh_are_accepted_with_a_warning() -> None:
    for kind in (wandb.Molecule, wandb.Bokeh):
        with pytest.warns(UserWarning, match=f"artstore doesn't store {kind.__name__} values"):
            kind("a.pdb")


def test_a_cell_of_each_kind_says_what_it_is() -> None:
    made = one_of_each()
    assert list(made) == list(KINDS)
    assert {name: str(each) for name, each in made.items() if name not in ("image", "plain image", "mask")} == {
        "audio": "audio bell.wav",
        "video": "video steps.gif",
        "html": "html of 113 bytes",
        "points": "object3D of 59 bytes",
        "scene": "object3D of 6 bytes",
        "plot": "plotly loss.plotly.json",
        "histogram": "histogram of 4 ranges",
        "classes": "classes 1 cat, 2 dog",
        "boxes": "boxes 1",
    }
