"""From what an adapter sees of a network to a measured graph, without a framework: values, steps, numbers."""
