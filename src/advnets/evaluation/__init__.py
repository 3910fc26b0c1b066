"""Section 5 of the paper: the Parzen protocol, and other metrics of samples."""
