"""Send an alert when a metric falls below a threshold.

After: docs, runs, send an alert
Runs.
Warns: Low accuracy: Accuracy 0.1 is below the acceptable threshold 0.3 (artstore sends no alerts)
"""

import artstore as wandb
from artstore import AlertLevel

threshold = 0.3
with wandb.init(project="alerts") as run:
    for acc in (0.5, 0.1):
        run.log({"acc": acc})
        if acc < threshold:
            run.alert(
                title="Low accuracy",
                text=f"Accuracy {acc} is below the acceptable threshold {threshold}",
                level=AlertLevel.WARN,
                wait_duration=300,
            )
