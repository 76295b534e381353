"""PyTorch in a loop of one's own: gradients and parameters of two models, and a copy that isn't watched."""

import copy
import pickle

import torch
import wandb

torch.manual_seed(0)


class Words(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = torch.nn.Embedding(10, 2, sparse=True), torch.nn.Linear(2, 1)

    def forward(self, words):
        return self.layer(self.table(words)).mean()


first, second = torch.nn.Linear(3, 1), Words()
with wandb.init(project="watched", id="torch") as run:
    wandb.watch(first, log="all", log_freq=2)
    run.watch(second, log_freq=2)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(first)))
    for step in range(4):
        first(torch.randn(5, 3)).mean().backward()
        second(torch.tensor([1, 2])).backward()
        copied(torch.randn(5, 3)).mean().backward()
        wandb.log({"step": step})
    wandb.unwatch(first)
    for _ in range(2):
        first(torch.randn(5, 3)).mean().backward()
        second(torch.tensor([1, 2])).backward()
    wandb.log({"step": 4})
first(torch.randn(5, 3)).mean().backward()  # the run has ended
