"""What lies on the disk: run folders, checkpoints, their schema, the environment of a run."""
