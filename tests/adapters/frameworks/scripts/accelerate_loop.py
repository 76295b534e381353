"""accelerate's tracker, in a loop of one's own."""

import numpy
import torch
from accelerate import Accelerator

accelerator = Accelerator(log_with="wandb", cpu=True)
accelerator.init_trackers("loops", {"rate": 0.1}, {"wandb": {"id": "loop", "tags": ["small"]}})
model, data = torch.nn.Linear(2, 1), torch.utils.data.TensorDataset(torch.randn(16, 2), torch.randn(16, 1))
model, optimizer, loader = accelerator.prepare(
    model, torch.optim.SGD(model.parameters(), lr=0.1), torch.utils.data.DataLoader(data, batch_size=8)
)
for epoch in range(3):
    for x, y in loader:
        loss = (model(x) - y).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.log({"loss": loss.item()}, step=epoch)
tracker = accelerator.get_tracker("wandb")
tracker.log_table("rows", columns=["a", "b"], data=[[1, 2], [3, 4]])
tracker.log_images({"pictures": numpy.zeros((2, 4, 4, 3), "uint8")})
accelerator.end_training()
