"""Attention-only transformers on text (Jayakumar et al.; Elhage et al. 2021)."""
