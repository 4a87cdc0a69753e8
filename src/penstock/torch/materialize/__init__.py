"""From the meta device to initialized weights: plan without data, memory, draws, buffers, ties, the ledger."""
