"""What `penstock.race` asks of Keras: build a model from a start, and train many arms on whichever backend it runs."""
