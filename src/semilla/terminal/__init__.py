"""What a person sees: progress, tables, errors. Only this package, ``cli`` and ``commands`` print."""
