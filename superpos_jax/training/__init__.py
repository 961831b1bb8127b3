"""A job: what is left to train, on which devices, in which folder, with checkpoints."""
