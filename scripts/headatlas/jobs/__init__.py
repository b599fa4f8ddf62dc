"""How any script runs: as a job that is logged, atomic and restored from a store."""
