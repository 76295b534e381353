"""What Hugging Face's libraries load of nlp/tiny and nlp/rows, as JSON: from a server, or offline from their cache."""

import json
import os
from pathlib import Path

from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from transformers import AutoConfig, AutoModel, AutoTokenizer


def loaded(**named: str) -> dict[str, object]:
    return {
        "type": AutoConfig.from_pretrained("nlp/tiny", **named).model_type,
        "tokens": AutoTokenizer.from_pretrained("nlp/tiny", **named)("hello world")["input_ids"],
        "weights": sum(float(one.sum()) for one in AutoModel.from_pretrained("nlp/tiny", **named).parameters()),
        "folder": sorted(os.listdir(snapshot_download("nlp/tiny", **named))),
        "vocabulary": Path(hf_hub_download("nlp/tiny", "vocab.txt", **named)).read_text(),
    }


def asked() -> dict[str, object]:
    import datasets

    api, files = HfApi(), HfFileSystem()
    return {
        "name": api.whoami()["name"],
        "ids": [api.model_info("nlp/tiny").id, api.dataset_info("nlp/rows", revision="v0").id],
        "commits": [api.model_info("nlp/tiny", revision=name).sha for name in ("main", "prod")],
        "files": len(api.list_repo_files("nlp/rows", repo_type="dataset")),
        "tree": sorted(one.path for one in api.list_repo_tree("nlp/rows", repo_type="dataset", expand=True)),
        "there": [api.repo_exists("nlp/tiny"), api.file_exists("nlp/tiny", "config.json")],
        "absent": [api.repo_exists("nlp/none"), api.repo_exists("hidden/net"), api.file_exists("nlp/tiny", "none")],
        "revisions": [api.revision_exists("nlp/tiny", name) for name in ("prod", "none", "refs/pr/1")],
        "tensors": len(api.get_safetensors_metadata("nlp/tiny").weight_map),
        "listed": sorted(path.rpartition("/")[2] for path in files.ls("nlp/tiny@prod", detail=False)),
        "rows": files.cat("datasets/nlp/rows/train.csv").decode(),
        "loaded": datasets.load_dataset("nlp/rows", data_files="train.csv")["train"].to_dict(),
    }


told = {"latest": loaded(), "prod": loaded(revision="prod")}
told["data"] = Path(snapshot_download("nlp/rows", repo_type="dataset"), "train.csv").read_text()
if not os.environ.get("HF_HUB_OFFLINE"):
    told |= asked()
print(json.dumps(told))
