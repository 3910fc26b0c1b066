"""Section 7 of the paper: what the game can be extended to, each measured.

    inference/       z of a given x: a regression on G's own samples, BiGAN and ALI, search
    conditionals     p(x_S | the rest) for every set S, by one G that is shown the rest
    semisupervised/  few labels: D's features, D fine-tuned, D with K class logits
    coordination/    how D and G move together, and better laws of z

Reference: Goodfellow et al. (2014), Section 7.
"""
