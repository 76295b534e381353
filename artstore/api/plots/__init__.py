"""Plots: charts of tables, which a run logs.

A chart is a table and a spec. `run.log({"KEY": chart})` logs the table under `KEY_table` (with `split_table`, under
`Custom Chart Tables/KEY_table`), and records the spec in the run's config, below `_wandb`, as W&B does:

- `_wandb.visualize.KEY` for a chart of `plot_table`, and so for all functions of `wandb.plot`:
  `{"panel_type": "Vega2", "panel_config": {"panelDefId": NAME, "fieldSettings": FIELDS, "stringSettings": TEXTS, …}}`
- `_wandb.viz.KEY` for one of `visualize`: `{"id": NAME, "historyFieldSettings": {…}}`. Its table is logged under `KEY`.

`charts.recorded_charts` reads both, and says for each chart what a page needs to draw it: its key, its kind, the key of
its table, which column is which field, and its texts, such as the title.

The values of `KEY_table` in history and summary name the file of the table, as those of every table do.
"""
