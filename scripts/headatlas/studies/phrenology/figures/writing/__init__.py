"""Figures of what heads write: eigenvalues of OV circuits, attention weighted by it, the loss of tokens without it."""
