"""Copy what TensorBoard's writers get.

After: docs, integrations, TensorBoard
Can't: artstore has no 'tensorboard': log the metrics yourself, with log()
"""

import artstore as wandb

wandb.tensorboard.patch(root_logdir="logs")
wandb.init(project="board")
