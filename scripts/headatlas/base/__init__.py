"""What everything stands on: errors, progress, tables, statistics."""
