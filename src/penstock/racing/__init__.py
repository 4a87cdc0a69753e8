"""Short, fair training runs of several starts: who converges faster, told with its uncertainty. See `penstock.race`."""
