"""The network in torch. Training needs it; the shipped bundle does not."""
