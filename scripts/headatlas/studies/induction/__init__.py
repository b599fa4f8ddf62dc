"""Induction heads and in-context learning (Chen, section 2; Olsson et al. 2022)."""
