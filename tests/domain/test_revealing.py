"""Names of files that reveal what is in them: digests in every usual form are found in them, and words aren't taken for digests."""

import base64
import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

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
ODD = ["V2", "LLM", "BERT", "GPU", "FP16", "XL", "ImageNet", "ResNet", "YOLOv8", "COCO", "CNN", "2D", "3D"] * 20
NAMES = [b"%s", b"images/%s.png", b"img-%s.png", b"deep/er/label_%s-1.txt", b"%s@2x.png", b"of %s"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("algorithm", "found"), [("md5", 0.98), ("sha1", 0.985), ("sha256", 0.99), ("sha512", 0.99)])
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


@pytest.mark.parametrize(("size", "taken"), [(22, 0.06), (27, 0.06), (43, 0.01), (86, 0.01)])
def test_few_names_of_words_that_are_as_long_as_a_digest_are_taken_for_one(size: int, taken: float) -> None:
    words = sorted(set(re.findall(r"\b[a-z]{3,9}\b", (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text())))
    chance, names = random.Random(1), list[str]()
    while len(names) < 1000:
        name = ""
        while len(name) < size:
            name += chance.choice([*words, *words[: len(words) // 9], *ODD]).capitalize() if name else "The"
            name += str(chance.choice([1, 2, 3, 16, 50, 512, 2017])) if chance.random() < 0.2 else ""
        if len(name) == size:
            names.append(name)
    assert sum(tells_content(b"data/%s.txt" % name.encode()) for name in names) <= taken * len(names)


@pytest.mark.parametrize(
    "name", [b"ResNet50V2ImageNetFp16", b"CocoTrain2017LabelsV2.0/a", b"TrainingDataV2Epoch100", b"BertBase2Epoch10LargeFinal3"]
)  # fmt: skip
def test_a_name_of_words_and_numbers_that_is_as_long_as_a_digest_is_shown(name: bytes) -> None:
    assert not tells_content(name)


def test_media_of_runs_say_what_they_hold() -> None:
    assert tells_content(b"media/images/x.png") and not tells_content(b"socialmedia/x.png")
