"""Start an agent of a sweep that somebody else made.

After: docs, sweeps, start or stop a sweep agent
Can't: artstore has no sweeps: it has no server that hands out parameters
"""

import artstore as wandb

wandb.agent("entity/project/abcd1234", function=lambda: None, count=5)
