"""Log a table again with more columns, in mode MUTABLE.

After: docs, tables, MUTABLE mode
Needs: numpy
Runs.
"""

import numpy as np

import artstore as wandb

inputs, labels = np.arange(4), [0, 1, 1, 0]
raw_preds = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4]])
with wandb.init(project="mutable-logging", id="m") as run:
    table = wandb.Table(columns=["input", "label", "prediction"], log_mode="MUTABLE")
    for inp, label, pred in zip(inputs, labels, raw_preds.argmax(axis=1), strict=True):
        table.add_data(inp, label, pred)
    run.log({"eval_table": table})
    confidences = np.max(raw_preds, axis=1)
    table.add_column("confidence", confidences)
    run.log({"eval_table": table})
    table.add_column("final_prediction", (confidences > 0.65).astype(int))
    run.log({"eval_table": table})

assert wandb.Api().run("mutable-logging/m").summary["eval_table"]["ncols"] == 5
assert [row["eval_table"]["ncols"] for row in wandb.Api().run("mutable-logging/m").scan_history()] == [3, 4, 5]
