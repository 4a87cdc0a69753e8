"""Weights in files, looked at without the model: safetensors, sharded or whole, and torch distributed checkpoints."""
