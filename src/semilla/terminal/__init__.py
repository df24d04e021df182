"""What a person sees: progress, tables, errors; with ``cli`` and ``commands`` the only code that prints."""
