"""Measure a running model and hand it back as it came: signals, gradients, parameters, the loss."""
