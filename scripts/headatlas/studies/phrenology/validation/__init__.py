"""Validation of kinds and partners by what their clustering never saw: effects, weights and transplants."""
