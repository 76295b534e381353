"""Log an evaluation table with columns of inputs, outputs and scores.

After: docs, evaluation tables, create an evaluation table
Needs: pandas
Can't: artstore has no 'EvalTable': it isn't stored yet
"""

import pandas as pd

import artstore as wandb

df = pd.DataFrame(
    [
        {"image_id": "img_001", "true_label": "cat", "predicted_label": "cat", "confidence": 0.97, "correct": True},
        {"image_id": "img_002", "true_label": "dog", "predicted_label": "cat", "confidence": 0.72, "correct": False},
    ]
)
with wandb.init(project="classifier-eval-table-demo") as run:
    eval_table = wandb.EvalTable(
        dataframe=df,
        input_columns=["image_id"],
        output_columns=["predicted_label"],
        score_columns=["correct", "confidence"],
    )
    run.log({"validation_predictions_eval": eval_table})
