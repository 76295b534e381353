"""Log a chart by the name of a specification of its own.

After: docs, app, custom charts walkthrough
Runs.
"""

import artstore as wandb

table = wandb.Table(data=[[step, step * 2] for step in range(5)], columns=["step", "height"])
my_custom_chart = wandb.plot_table(
    vega_spec_name="carey/new_chart",
    data_table=table,
    fields={"x": "step", "value": "height"},
    string_fields={"title": "Height Histogram"},
)
with wandb.init(project="plots", id="custom") as run:
    run.log({"my_custom_chart": my_custom_chart})
assert wandb.Api().run("plots/custom").summary["my_custom_chart_table"]["nrows"] == 5
