"""Ultralytics' callbacks for wandb, called as its trainer calls them, with a trainer that only has the values they read.

The trainer itself needs torchvision, of which no build goes with the torch of these tests.
"""

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy
from PIL import Image

utils, torch_utils = ModuleType("ultralytics.utils"), ModuleType("ultralytics.utils.torch_utils")
utils.TESTS_RUNNING, torch_utils.model_info_for_loggers = False, lambda trainer: {"model/parameters": 10}
sys.modules |= {"ultralytics": ModuleType("ultralytics"), utils.__name__: utils, torch_utils.__name__: torch_utils}
file = Path(PathFinder.find_spec("ultralytics").origin).parent / "utils/callbacks/wb.py"
spec = importlib.util.spec_from_file_location("wb", file)
wb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(wb)

Path("best.pt").write_bytes(b"weights")
Image.fromarray(numpy.zeros((4, 4, 3), "uint8")).save("labels.jpg")
metrics = SimpleNamespace(
    names={0: "cat", 1: "dog"},
    curves=["PR"],
    curves_results=[(numpy.linspace(0, 1, 5), numpy.ones((2, 5)), "Recall", "Precision")],
)
trainer = SimpleNamespace(
    args=SimpleNamespace(project="boxes", name="train", resume=False, save=True, plots=False, epochs=2),
    save_dir=".", epoch=0, lr={"lr/pg0": 0.1}, tloss=1.0, metrics={"metrics/mAP50(B)": 0.5}, best=Path("best.pt"),
    plots={Path("labels.jpg"): {"timestamp": 1}}, validator=SimpleNamespace(plots={}, metrics=metrics), ended=[],
    label_loss_items=lambda loss, prefix: {f"{prefix}/box_loss": loss},
)  # fmt: skip
trainer.add_callback = lambda event, call: trainer.ended.append(call) if event == "on_train_end" else None
wb.callbacks["on_pretrain_routine_end"](trainer)
for trainer.epoch in range(2):
    wb.callbacks["on_train_epoch_end"](trainer)
    wb.callbacks["on_fit_epoch_end"](trainer)
wb.callbacks["on_train_end"](trainer)
trainer.ended[0](trainer)
