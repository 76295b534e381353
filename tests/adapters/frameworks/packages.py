"""The virtual environment with the frameworks: `python -m tests.adapters.frameworks.packages` makes it.

torch comes first, with the torchvision that goes with it: what is installed after them takes them as they are.
"""

import os
import subprocess
import sys
from pathlib import Path

import filelock

TOP = Path(__file__).parents[3]
PLACE = Path(os.environ.get("ARTSTORE_FRAMEWORKS") or TOP / ".frameworks")
"""Where the environment is, or is made. A test's own environment has no variables of the caller's."""
STEPS = (
    ("torch", "torchvision"),
    ("lightning", "transformers", "datasets", "accelerate", "trl", "scipy"),
    ("keras", "xgboost", "lightgbm", "catboost", "scikit-learn", "pytorch-ignite", "timm", "ultralytics"),
    ("stable-baselines3", "gymnasium[classic-control]", "moviepy", "matplotlib", "pandas", "plotly", "psutil"),
    ("uv", "uvicorn"),
    ("--editable", str(TOP)),
)
"""What is installed, step by step."""
SHOWN = (
    "torch", "lightning", "huggingface-hub", "transformers", "datasets", "accelerate", "trl", "xgboost", "lightgbm", "catboost", "keras",
    "stable-baselines3", "scikit-learn", "pytorch-ignite", "ultralytics", "timm",
)  # fmt: skip


def python_of_frameworks() -> str:
    """The Python that has the frameworks. The environment is made if it isn't there, by one process only."""
    python = PLACE / "bin" / "python"
    done = PLACE / "made"
    if done.exists():
        return str(python)
    with filelock.FileLock(f"{PLACE}.lock"):
        if not done.exists():
            make()
            done.touch()
    return str(python)


def make() -> None:
    """Make the environment, with the newest versions. It takes some minutes and 7 GB."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PLACE)], check=True)
    for packages in STEPS:
        subprocess.run([str(PLACE / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], check=True)


def versions(python: str) -> dict[str, str]:
    """The version of each framework."""
    code = "import sys, importlib.metadata as m\nfor name in sys.argv[1:]: print(name, m.version(name))"
    done = subprocess.run([python, "-c", code, *SHOWN], capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


if __name__ == "__main__":
    for name, version in versions(python_of_frameworks()).items():
        print(f"{name} {version}")
