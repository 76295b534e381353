"""Audio: a sound, from a file or from samples."""

import io
import os
from typing import Any

from artstore.api.media.content import Kept, Reference, content_of_file, is_reference
from artstore.api.media.value import Media, MediaPlace, Told, checked_caption
from artstore.api.needed import needed
from artstore.errors import InvalidValue


class Audio(Media):
    """A sound.

    Example:
        >>> sound = wandb.Audio("bell.wav", caption="a bell")
        >>> sound
        <Audio bell.wav>
    """

    type_name = "audio-file"
    word = "audio"
    folder = "media/audio"

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        """Make a sound.

        Args:
            data_or_path: The path of a file, a URI, or an array of samples (samples, or samples and channels).
            sample_rate: The samples per second, which an array needs.
            caption: A caption.

        Raises:
            InvalidValue: If an array has no sample rate, or isn't one of samples.
            SourceError: If the file can't be read.
            NotFound: If soundfile isn't installed, which an array needs.
        """
        self.caption = checked_caption(caption)
        self.sample_rate = sample_rate
        self.duration: float | None = None
        if is_reference(data_or_path):
            self.content = Reference(data_or_path)
        elif isinstance(data_or_path, str | os.PathLike):
            self.content = content_of_file(data_or_path)
        else:
            self.content = Kept(self._encoded(data_or_path))

    def _encoded(self, samples: Any) -> bytes:
        """Samples as the bytes of a WAV file."""
        if self.sample_rate is None:
            raise InvalidValue(
                'Argument "sample_rate" is required when instantiating wandb.Audio with raw data.',
                hint="Audio(samples, sample_rate=44100)",
            )
        soundfile = needed("soundfile", "an Audio of samples")
        out = io.BytesIO()
        try:
            soundfile.write(out, samples, self.sample_rate, format="WAV")
        except (RuntimeError, TypeError, ValueError) as error:
            raise InvalidValue(f"the samples can't be stored as a sound: {error}") from error
        self.duration = len(samples) / self.sample_rate
        return out.getvalue()

    @staticmethod
    def sample_rates(sounds: "list[Audio]") -> list[int | None]:
        """The samples per second of several sounds. None for one that isn't from an array."""
        return [sound.sample_rate for sound in sounds]

    @staticmethod
    def durations(sounds: "list[Audio]") -> list[float | None]:
        """The seconds of several sounds. None for one that isn't from an array."""
        return [sound.duration for sound in sounds]

    def ending(self) -> str:
        """The ending of its file."""
        return os.path.splitext(self.content.name or ".wav")[1] if self.content.name else ".wav"

    def to_json(self, place: MediaPlace) -> Told:
        """Store its file, and return what is recorded of it. W&B reads no sound of an artifact that has no caption."""
        return super().to_json(place) if place.in_run else {"caption": None, **super().to_json(place)}

    @classmethod
    def from_json(cls, told: Any, source: Any) -> "Audio":
        """The sound that was recorded. Its rate isn't: the file has it."""
        self = super().from_json(told, source)
        self.sample_rate, self.duration = None, None
        return self
