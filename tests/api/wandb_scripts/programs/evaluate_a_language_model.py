"""Ask a model questions, log each answer with its score, and read the summary in the script.

After: examples, llama-cpp, evaluate.py
Runs.
"""

import difflib
import json
import os
import time
from pathlib import Path

import artstore as wandb

Path("eval.jsonl").write_text(
    json.dumps({"input": "list files", "ideal": "ls"})
    + "\n"
    + json.dumps({"input": "who am I", "ideal": "whoami"})
    + "\n"
)
wandb_config = {"model": os.getenv("MODEL", "tiny"), "max_tokens": int(os.getenv("MAX_TOKENS", 128))}
wandb.init(project="llm-eval", config=wandb_config)
table = wandb.Table(columns=["prompt", "output", "ideal", "score", "latency", "tokens"])
correct = total = 0.0
for line in Path("eval.jsonl").read_text().splitlines():
    data = json.loads(line)
    total += 1
    start = time.time()
    output = {"list files": "ls", "who am I": "id"}[data["input"]]
    score = difflib.SequenceMatcher(None, data["ideal"], output).ratio()
    correct += score > 0.7
    table.add_data(data["input"], f"`{output}`", f"`{data['ideal']}`", score, time.time() - start, len(output))
wandb.log({"accuracy": correct / total, "eval": table})
assert json.loads(json.dumps(dict(wandb.config))) == {"model": "tiny", "max_tokens": 128}
assert wandb.run.summary["accuracy"] == 0.5
wandb.finish()
