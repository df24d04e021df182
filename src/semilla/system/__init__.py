"""What depends on the operating system: signals, memory, the C allocator."""
