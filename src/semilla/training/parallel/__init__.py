"""Worker processes that share a training step."""
