"""The dial: hyperparameters for a text and a time, and what to expect of them."""
