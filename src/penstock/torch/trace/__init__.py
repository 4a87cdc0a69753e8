"""Run a model once and see what it computes: every tensor operation, below autograd, becomes a step of a graph."""
