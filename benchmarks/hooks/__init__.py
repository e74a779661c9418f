"""What hooks and plugins cost: calls, sessions with plugins, and commands among many packages."""
