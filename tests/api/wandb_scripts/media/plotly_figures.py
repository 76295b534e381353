"""Log figures of plotly, and one as HTML in a table.

After: docs, track, plots: matplotlib and plotly
Needs: plotly
Runs.
"""

import plotly.graph_objects as go

import artstore as wandb

fig = go.Figure(go.Scatter(x=[0, 1, 2, 3], y=[0, 1, 4, 9]))
with wandb.init(project="log-plotly-fig-tables", id="p", name="plotly_html") as run:
    run.log({"direct": fig, "wrapped": wandb.Plotly(fig)})
    fig.write_html("figure.html", auto_play=False, include_plotlyjs="cdn")
    table = wandb.Table(columns=["plotly_figure"])
    table.add_data(wandb.Html("figure.html"))
    run.log({"test_table": table})
summary = wandb.Api().run("log-plotly-fig-tables/p").summary
assert summary["direct"]["_type"] == summary["wrapped"]["_type"] == "plotly-file"
