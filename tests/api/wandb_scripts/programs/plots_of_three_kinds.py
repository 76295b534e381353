"""Log two figures of plotly and one of pyplot in one step.

After: examples, api-examples, plotly
Needs: matplotlib, plotly
Runs.
"""

import matplotlib.pyplot as plt
import plotly.graph_objs as go

import artstore as wandb

wandb.init(project="plotly", id="three")
contour = go.Figure(data=go.Contour(z=[[10, 5], [2, 0]]), layout=go.Layout(title=go.layout.Title(text="A contour")))
scatter = go.Figure(data=go.Scatter(x=[0, 1, 2]))
plt.plot([1, 2, 3, 4])
plt.ylabel("some interesting numbers")
wandb.log({"contour": contour, "scatter": scatter, "mpl": plt})
plt.close("all")
wandb.finish()
summary = wandb.Api().run("plotly/three").summary
assert summary["contour"]["_type"] == summary["scatter"]["_type"] == "plotly-file"
assert summary["mpl"]["_type"] in ("plotly-file", "image-file")
