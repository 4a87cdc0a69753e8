"""Plans by name: published rules for whole models, one row of `table` each."""
