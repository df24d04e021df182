"""Whether this machine can do what the configuration asks, found out before anything is downloaded."""
