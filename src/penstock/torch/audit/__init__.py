"""Who wrote each parameter and buffer of a PyTorch model."""
