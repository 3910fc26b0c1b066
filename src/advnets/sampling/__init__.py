"""z and samples: priors, samplers, Markov chains."""
