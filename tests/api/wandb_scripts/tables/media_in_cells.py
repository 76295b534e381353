"""Log predictions with the picture of each in a table.

After: docs, tutorials, tables
Needs: PIL, numpy
Runs.
"""

import numpy as np

import artstore as wandb

generator = np.random.default_rng(0)
with wandb.init(project="mnist-viz", id="cells") as run:
    columns = ["id", "image", "guess", "truth"]
    for digit in range(3):
        columns.append(f"score_{digit}")
    test_table = wandb.Table(columns=columns)
    images = generator.integers(0, 256, (4, 8, 8), dtype=np.uint8)
    scores = generator.dirichlet([1, 1, 1], size=4)
    for number, (image, score) in enumerate(zip(images, scores, strict=True)):
        test_table.add_data(f"0_{number}", wandb.Image(image), int(score.argmax()), number % 3, *score)
    run.log({"test_predictions": test_table})
    artifact = wandb.Artifact(f"predictions_{run.id}", type="predictions")
    artifact.add(test_table, "predictions")
    run.log_artifact(artifact)

table = wandb.Api().artifact("mnist-viz/predictions_cells:latest").get("predictions")
assert (np.asarray(table.data[2][1].image) == images[2]).all()
assert table.get_column("id") == ["0_0", "0_1", "0_2", "0_3"]
