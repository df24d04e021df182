"""A trained model in the formats others read."""
