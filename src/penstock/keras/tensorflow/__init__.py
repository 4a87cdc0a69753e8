"""A Keras model on TensorFlow: its graph function is flattened, read, and run op by op, forward and backward."""
