"""Everything between token ids and trained weights."""
