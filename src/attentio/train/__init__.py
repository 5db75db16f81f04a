"""Training: the objective, the learning-rate schedule, checkpoints that survive anything, and the loop."""
