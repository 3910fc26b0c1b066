"""Section 5 of the paper: the Parzen protocol, and the measures that see what it does not."""
