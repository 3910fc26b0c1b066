"""Rules that move weights: momentum, schedules, averages, the state of a network that trains."""
