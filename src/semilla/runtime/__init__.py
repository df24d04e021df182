"""The runtime for small machines: reads a bundle, generates text, measures itself. No torch, no network."""
