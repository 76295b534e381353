"""Write a report that compares a run with the baseline.

After: edu, CI/CD course, compare_runs.py
Can't: artstore.apis.reports is not here: there are no reports
"""

import artstore.apis.reports as wr

import artstore as wandb

with wandb.init(project="cicd_demo", tags=["baseline"]) as run:
    run.log({"loss": 0.5})
baseline = wandb.Api().runs("cicd_demo", {"tags": {"$in": ["baseline"]}})[0]
report = wr.Report(project="cicd_demo", title="Compare Runs", description=f"the baseline is {baseline.name}")
report.save()
