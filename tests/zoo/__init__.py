"""Two zoos of models, as tables: healthy ones, and the ways to break them on purpose."""
