"""The ledger: what was written to each parameter, with what, and a hash of what came out; data beside the weights."""
