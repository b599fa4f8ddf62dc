"""Architectures of which a test says only what it is about."""

from headatlas.models.transformer import Architecture

ORDINARY = {  # what is left out: Edkins & Wiechecki's one-layer transformers
    "layers": 1,
    "heads": 8,
    "d_model": 256,
    "d_head": 64,
    "d_mlp": 2048,
    "activation": "solu_ln",
    "residual": True,
    "layer_norm": True,
    "tied_layers": False,
    "causal": True,
    "tied_unembedding": False,
    "embedding_max_norm": None,
}


def architecture_of(vocabulary, context, **given):
    """An architecture that is ordinary but for what is given."""
    return Architecture(vocabulary=vocabulary, context=context, **ORDINARY | given)
