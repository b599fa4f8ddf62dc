"""What heads attend to, on disk: patterns, queries and keys."""
