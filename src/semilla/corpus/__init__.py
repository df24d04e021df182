"""The text to learn from: found, fetched, cleaned, split and described."""
