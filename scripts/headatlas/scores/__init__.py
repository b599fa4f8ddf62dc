"""What a head does, in numbers: from patterns, on repeated tokens, from weights."""
