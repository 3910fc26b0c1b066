"""Words that all packages share: errors, configuration, protocols, randomness, processes, files."""
