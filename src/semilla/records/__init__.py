"""What a run writes down: durable files, the status, the metrics, the lock and the log."""
