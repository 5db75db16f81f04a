"""A run: its folder, the model in it, and the training that fills it."""
