"""Files: run folders, checkpoints, their schema, the environment of a run."""
