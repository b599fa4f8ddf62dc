"""Pretrained models of `transformers`, causal or masked, as families of heads."""

from headatlas.models.pretrained.family import PretrainedFamily
from headatlas.models.pretrained.loading import TASKS, fetch

__all__ = ["TASKS", "PretrainedFamily", "fetch"]
