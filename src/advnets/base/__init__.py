"""What all packages share: errors, configuration, protocols, randomness, processes, files."""
