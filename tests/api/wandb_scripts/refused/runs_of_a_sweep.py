"""Read the best run of a sweep.

After: docs, track, public API: get the best run from a sweep
Can't: artstore's Api has no 'sweep': there are no sweeps
"""

import artstore as wandb

api = wandb.Api()
sweep = api.sweep("entity/project/abcd1234")
best_run = sweep.best_run()
