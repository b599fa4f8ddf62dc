"""Attention phrenology (Edkins & Wiechecki 2023): which heads of independently trained models do the same thing."""

PARTS = 32  # of the prompts, on which distances are kept apart; random halves are made of them
