"""What the four papers report beside what a run gives: a module for each study, and the claims in common."""
