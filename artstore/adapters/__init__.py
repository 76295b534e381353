"""Adapters for other tools: paths for fsspec, and imports from DVC, MLflow and W&B."""
