"""The matrices of the heads of pretrained models, in one form whatever their architecture."""

import torch

from headatlas.base.errors import InputError


def head_weights(model, layer):
    """The matrices of one layer's heads.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With its language-model head.
    layer : int

    Returns
    -------
    dict of str to float32 array
        Names, shapes and what is folded in as `families.load_family` says.

    Raises
    ------
    InputError
        If the weights of this model type are not known.
    """
    config = model.config
    if config.model_type not in _KNOWN:
        raise InputError(
            f"model type {config.model_type!r}: its OV and QK weights are not known; "
            f"known are {', '.join(_KNOWN)} and toy models"
        )
    with torch.no_grad():
        found = _KNOWN[config.model_type](model, layer, config.num_attention_heads)
    return {name: value.float().cpu().contiguous().numpy() for name, value in found.items()}


def _split(matrix, heads):
    """A linear map to all heads, (d_model, head * d_head), as (head, d_model, d_head)."""
    return matrix.unflatten(1, (heads, -1)).transpose(0, 1)


def _shared(parts, heads):
    """Key or value heads, (group, d_model, d_head), repeated for the heads that share them."""
    return parts.repeat_interleave(heads // len(parts), 0)


def _unembedding(model, scale):
    return scale[:, None] * model.get_output_embeddings().weight.T


def _gpt2(model, layer, heads):
    block = model.transformer.h[layer]
    parts = (block.ln_1.weight[:, None] * block.attn.c_attn.weight).chunk(3, dim=1)
    query, key, value = (_split(part, heads) for part in parts)
    return {
        "W_E": model.transformer.wte.weight,
        "W_U": _unembedding(model, model.transformer.ln_f.weight),
        "W_Q": query,
        "W_K": key,
        "W_V": value,
        "W_O": block.attn.c_proj.weight.unflatten(0, (heads, -1)),
    }


def _llama(model, layer, heads):
    block = model.model.layers[layer]
    scale, attention = block.input_layernorm.weight[:, None], block.self_attn
    groups = model.config.num_key_value_heads
    return {
        "W_E": model.model.embed_tokens.weight,
        "W_U": _unembedding(model, model.model.norm.weight),
        "W_Q": _split(scale * attention.q_proj.weight.T, heads),
        "W_K": _shared(_split(scale * attention.k_proj.weight.T, groups), heads),
        "W_V": _shared(_split(scale * attention.v_proj.weight.T, groups), heads),
        "W_O": attention.o_proj.weight.T.unflatten(0, (heads, -1)),
    }


def _bert(model, layer, heads):
    block, embeddings = model.bert.encoder.layer[layer].attention, model.bert.embeddings
    transform = model.cls.predictions.transform
    return {
        "W_E": embeddings.word_embeddings.weight * embeddings.LayerNorm.weight,
        "W_U": transform.dense.weight.T @ _unembedding(model, transform.LayerNorm.weight),
        "W_Q": _split(block.self.query.weight.T, heads),
        "W_K": _split(block.self.key.weight.T, heads),
        "W_V": _split(block.self.value.weight.T, heads),
        "W_O": block.output.dense.weight.T.unflatten(0, (heads, -1)),
    }


def _albert(model, layer, heads):
    config, encoder, embeddings = model.config, model.albert.encoder, model.albert.embeddings
    group = encoder.albert_layer_groups[layer * config.num_hidden_groups // config.num_hidden_layers]
    if config.inner_group_num != 1:
        raise InputError(
            f"inner_group_num: {config.inner_group_num}: the weights of ALBERT's heads are known for 1 only"
        )
    block = group.albert_layers[0].attention
    embedded = embeddings.word_embeddings.weight * embeddings.LayerNorm.weight  # (vocabulary, embedding_size)
    return {
        "W_E": embedded @ encoder.embedding_hidden_mapping_in.weight.T,
        "W_U": model.predictions.dense.weight.T @ _unembedding(model, model.predictions.LayerNorm.weight),
        "W_Q": _split(block.query.weight.T, heads),
        "W_K": _split(block.key.weight.T, heads),
        "W_V": _split(block.value.weight.T, heads),
        "W_O": block.dense.weight.T.unflatten(0, (heads, -1)),
    }


_KNOWN = {"gpt2": _gpt2, "llama": _llama, "bert": _bert, "albert": _albert}
