"""Phase 5: measures the finished model, its texts and its grammar, and compares the figures with their thresholds."""
