"""The look of every figure, and training curves."""
