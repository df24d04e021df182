"""Checks whether this machine can run a configuration, before anything is downloaded."""
