"""What phase 5 measures of a finished model's language: the texts it writes, and the grammar it prefers."""
