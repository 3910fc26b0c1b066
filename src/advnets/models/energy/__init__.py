"""Energy-based models: restricted Boltzmann machines and deep belief nets."""
