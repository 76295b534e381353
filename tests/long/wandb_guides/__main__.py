"""W&B's guides on artifacts, one section each, as a user would try them one after another: only the imports differ, and
a server on the loopback stands for the web. Prints what happens, the same each time.

    python tests/long/wandb_guides        writes into the folder that it is run in
"""

import importlib

for part in ("artifacts", "runs", "registries", "automations"):  # each goes on where the one before ended
    importlib.import_module(part)
