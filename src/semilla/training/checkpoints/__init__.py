"""Checkpoints: written, verified, and resumed from."""
