"""Attention phrenology (Edkins & Wiechecki 2023): which heads of independently trained models do the same thing."""
