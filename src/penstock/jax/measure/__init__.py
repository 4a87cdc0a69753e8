"""Run a traced function: its signals, their gradients, the loss."""
