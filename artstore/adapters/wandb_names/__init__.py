"""The name `wandb` for artstore: a folder that makes `import wandb` find it, and W&B's modules with their names."""
