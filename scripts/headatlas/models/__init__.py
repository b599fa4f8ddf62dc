"""Families of models, trained here or pretrained, and passes in which heads are knocked out."""
