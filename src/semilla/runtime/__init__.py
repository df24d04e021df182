"""The runtime for small machines: reads a bundle, writes text, measures itself. No torch, no network."""
