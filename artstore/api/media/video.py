"""Video: moving pictures, from a file or from frames."""

import os
import tempfile
from typing import Any

from artstore.api.media.content import Kept, content_of_file
from artstore.api.media.value import Media, MediaPlace, Told, checked_caption, text_of
from artstore.api.needed import needed
from artstore.errors import InvalidType, InvalidValue

FORMATS = ("gif", "mp4", "webm", "ogg")
_FRAMES = 4
"""Frames per second, where none are given."""


class Video(Media):
    """Moving pictures.

    Example:
        >>> video = wandb.Video("steps.gif", caption="the first steps")
        >>> video
        <Video steps.gif>
    """

    type_name = "video-file"
    word = "video"
    folder = "media/videos"
    EXTS = FORMATS

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: int | None = None, format: str | None = None
    ) -> None:
        """Make a video.

        Args:
            data_or_path: The path of a file, an open file of bytes, or an array (frames, channels, height, width). One
                of several videos (videos, frames, channels, height, width) shows them side by side.
            caption: A caption.
            fps: The frames per second of an array; by default 4.
            format: `gif`, `mp4`, `webm` or `ogg`, which an array and an open file need.

        Raises:
            InvalidValue: If the format isn't one of these, or an array has no such shape.
            SourceError: If the file can't be read.
            NotFound: If moviepy isn't installed, which an array needs.
        """
        self.caption = checked_caption(caption)
        self.width: int | None = None
        self.height: int | None = None
        if isinstance(data_or_path, str | os.PathLike):
            self.format = _checked(os.path.splitext(os.fspath(data_or_path))[1][1:].lower())
            self.content = content_of_file(data_or_path)
        elif hasattr(data_or_path, "read"):
            self.format = _required(format, "raw bytes (an io object)")
            self.content = Kept(data_or_path.read())
        else:
            frames = data_or_path.numpy() if hasattr(data_or_path, "numpy") else data_or_path
            if not hasattr(frames, "ndim"):
                given = type(data_or_path).__name__
                raise InvalidType(f"wandb.Video accepts a file path or numpy like data as input, not {given}")
            self.format = _required(format, "a numpy array")
            self.content = Kept(self._encoded(frames, fps or _FRAMES))

    def _encoded(self, frames: Any, fps: int) -> bytes:
        """Frames as the bytes of a file."""
        tiled = _tiled(frames)
        _, self.height, self.width, _ = tiled.shape
        editor = needed("moviepy.video.io.ImageSequenceClip", "a Video of an array", "moviepy")
        clip = editor.ImageSequenceClip(list(tiled), fps=fps)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"video.{self.format}")
            if self.format == "gif":
                clip.write_gif(path, fps=fps, logger=None)
            else:
                clip.write_videofile(path, logger=None)
            with open(path, "rb") as file:
                return file.read()

    def ending(self) -> str:
        """The ending of its file."""
        return f".{self.format}"

    def to_json(self, place: MediaPlace) -> Told:
        """Store its file, and return what is recorded of it."""
        told: Told = super().to_json(place)
        measures = {"width": self.width, "height": self.height}
        return told | {key: value for key, value in measures.items() if value is not None}

    @classmethod
    def from_json(cls, told: Any, source: Any) -> "Video":
        """The video that was recorded."""
        self = super().from_json(told, source)
        self.width, self.height = told.get("width"), told.get("height")
        self.format = os.path.splitext(text_of(told, "path", cls.word))[1][1:]
        return self


def _checked(format: str) -> str:
    if format not in FORMATS:
        raise InvalidValue(f"wandb.Video accepts {', '.join(FORMATS)} formats, not '{format}'")
    return format


def _required(format: str | None, given: str) -> str:
    if format is None:
        message = f"wandb.Video requires a `format` argument when initializing with {given}."
        raise InvalidValue(message, hint=f"one of {', '.join(FORMATS)}")
    return _checked(format)


def _tiled(frames: Any) -> Any:
    """Frames of one or several videos as (frames, height, width, channels): several are put into a grid."""
    np = needed("numpy", "a Video of an array")
    frames = np.asarray(frames)
    if frames.ndim not in (4, 5):
        raise InvalidValue(
            f"Video must be at least 4 dimensions: time, channels, height, width, and perhaps videos; not {frames.ndim}"
        )
    frames = frames[None] if frames.ndim == 4 else frames
    videos = 1 << (len(frames) - 1).bit_length()
    padding = np.zeros((videos - len(frames), *frames.shape[1:]), dtype="uint8")
    frames = np.concatenate([frames.clip(0, 255).astype("uint8"), padding])
    rows = 1 << ((videos.bit_length() - 1) // 2)
    _, time, channels, height, width = frames.shape
    grid = frames.reshape(rows, videos // rows, time, channels, height, width).transpose(2, 0, 4, 1, 5, 3)
    return grid.reshape(time, rows * height, (videos // rows) * width, channels)
