"""Downloads over HTTP: one file at a time, complete or refused, and kept for the next run."""
