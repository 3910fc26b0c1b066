r"""Learned approximate inference: z of a given x.

    regression    E fitted to z from G(z), after training and without touching G
    bigan         E as a third player: D on pairs (x, E(x)) and (G(z), z)
    search        z* = argmin ||G(z) - x||^2 within the prior's support

Reference: Goodfellow et al. (2014), Section 7, extension 2: "Learned approximate inference can be
    performed by training an auxiliary network to predict z given x".
"""
