"""What `penstock.race` asks of JAX: build a model from a start, and train many arms together."""
