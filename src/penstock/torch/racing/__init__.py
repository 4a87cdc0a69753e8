"""What `penstock.race` asks of PyTorch: build a model from a start, and train many arms together."""
