"""Planning: a measured graph becomes a plan, a recipe and a reason for each parameter."""
