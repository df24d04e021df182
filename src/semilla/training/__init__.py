"""From token ids to trained weights."""
