"""Names of files that reveal what is in them: digests in every usual form are found in them, and words aren't taken for digests."""

import base64
import hashlib
from collections.abc import Callable

import pytest

from artstore.domain.revealing import tells_content

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "hex": lambda digest: digest.hex().encode(),
    "large hex": lambda digest: digest.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 without padding": lambda digest: base64.b64encode(digest).rstrip(b"="),
    "base64 for URLs": lambda digest: base64.urlsafe_b64encode(digest).rstrip(b"="),
    "base32": lambda digest: base64.b32encode(digest).rstrip(b"="),
    "small base32": lambda digest: base64.b32encode(digest).rstrip(b"=").lower(),
}
NAMES = [b"%s", b"images/%s.png", b"img-%s.png", b"deep/er/label_%s-1.txt", b"%s@2x.png", b"of %s"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("algorithm", "found"), [("md5", 0.95), ("sha1", 0.97), ("sha256", 0.99)])
def test_a_digest_in_a_name_is_found_in_every_usual_form(form: str, algorithm: str, found: float) -> None:
    digests = [hashlib.new(algorithm, b"%d" % number).digest() for number in range(200)]
    for name in NAMES:
        hits = sum(tells_content(name % FORMS[form](digest)) for digest in digests)
        assert hits >= found * len(digests), (name, hits)


@pytest.mark.parametrize(
    "name",
    [
        b"data/train/images/cat/0001.jpeg", b"model-00001-of-00002.safetensors", b"checkpoint-epoch10-step20000/optimizer.pt",
        b"ILSVRC2012_val_00000293.JPEG", b"ResNet50_ImageNet_Pretrained_v2.pth", b"2026-11-30T12-00-00_validation.csv",
        b"MyDatasetFromTheInternet/README.md", b"annotations/instances_train2017.json", b"events.out.tfevents.1700000000.host",
        b"Llama-3.1-8B-Instruct-Q4_K_M.gguf", b"coco/val2017/000000397133.jpg", b"wandb-summary.json", "Übersicht/Größe.txt".encode(),
        b"a_rather_long_name_with_many_words_in_it.txt", b"someverylongnamewithoutanyspacesinit.txt",
        b"TrainingDataForModelVersion2/LabelsAndBoxes.csv",
    ],
)  # fmt: skip
def test_words_and_numbers_are_not_taken_for_a_digest(name: bytes) -> None:
    assert not tells_content(name)


def test_media_of_runs_say_what_they_hold() -> None:
    assert tells_content(b"media/images/x.png") and not tells_content(b"socialmedia/x.png")
