"""Figures of the study: tables in, a matplotlib `Figure` out."""
