"""What heads attend to, on disk: patterns, queries and keys."""

STREAMED = 1 << 28  # bytes of the patterns of all heads that are read at once, one prompt at least
