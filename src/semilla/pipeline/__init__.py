"""The main job: its phases in order, the status file that follows them, sweeps, and the archive of earlier models."""
