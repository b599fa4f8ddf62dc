"""Tiny models of random weights of every language-model type that `transformers` knows, made from configurations.

A type is known by the two mappings of `transformers` that name its causal and its masked language models. Sizes go by
the names that configurations give them (`GENERIC`); what a type needs besides, or cannot have, is in `SPECIAL`.
"""

import torch
import transformers
from transformers.models.auto import modeling_auto

LAYERS, HEADS, D_MODEL, VOCABULARY, CONTEXT, WINDOW = 3, 4, 32, 60, 64, 4
AUTO = {"causal": transformers.AutoModelForCausalLM, "masked": transformers.AutoModelForMaskedLM}

_OF_LAYERS = {"num_hidden_layers": LAYERS, "n_layer": LAYERS, "n_layers": LAYERS, "num_layers": LAYERS}
_OF_LAYERS |= {"decoder_layers": LAYERS, "encoder_layers": LAYERS}
_OF_HEADS = {"num_attention_heads": HEADS, "n_head": HEADS, "n_heads": HEADS, "num_heads": HEADS}
_OF_HEADS |= {"num_key_value_heads": 2, "head_dim": 8, "d_head": 8, "v_head_dim": 8}
_OF_HEADS |= {"decoder_attention_heads": HEADS, "encoder_attention_heads": HEADS, "rotary_dim": 4}
_OF_HEADS |= {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "kv_lora_rank": 16, "q_lora_rank": 16}
_OF_HEADS |= {"index_topk": 4, "index_head_dim": 8, "index_n_heads": 2}
_OF_WIDTHS = {"hidden_size": D_MODEL, "n_embd": D_MODEL, "d_model": D_MODEL, "dim": D_MODEL, "emb_dim": D_MODEL}
_OF_WIDTHS |= {"d_embed": D_MODEL, "word_embed_proj_dim": D_MODEL, "embedding_size": 16, "input_embedding_size": 16}
_OF_WIDTHS |= {"intermediate_size": 48, "ffn_dim": 48, "hidden_dim": 48, "n_inner": 48, "d_inner": 48}
_OF_WIDTHS |= {"decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "ffn_hidden_size": 48}
_OF_WIDTHS |= {"hidden_size_per_layer_input": 8, "entity_emb_size": 16}
_OF_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1}
_OF_EXPERTS |= {"num_experts_per_tok": 2, "moe_topk": 2, "moe_intermediate_size": 24}
_OF_EXPERTS |= {"shared_expert_intermediate_size": 24, "expert_ffn_hidden_size": 24}
_OF_TOKENS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "mask_token_id": 4}
_OF_TOKENS |= {"vocab_size_per_layer_input": VOCABULARY, "type_vocab_size": 2, "entity_vocab_size": 10}
_OF_POSITIONS = {"max_position_embeddings": CONTEXT, "n_positions": CONTEXT, "max_seq_len": CONTEXT, "n_ctx": CONTEXT}
_OF_POSITIONS |= {"sliding_window": WINDOW, "local_attention": WINDOW}
_OF_RECURRENCE = {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2}
_OF_RECURRENCE |= {"linear_num_value_heads": 4, "linear_head_dim": 8, "linear_num_heads": 4, "mamba_n_heads": 4}
_OF_RECURRENCE |= {"mamba_d_head": 16, "mamba_d_state": 8, "mamba_expand": 2, "mamba_n_groups": 1}
_OF_RECURRENCE |= {"mamba_chunk_size": 8}
GENERIC = _OF_LAYERS | _OF_HEADS | _OF_WIDTHS | _OF_EXPERTS | _OF_TOKENS | _OF_POSITIONS | _OF_RECURRENCE

# The parts of a multimodal model that no token goes through.
BESIDE = {"hidden_size": 32, "d_model": 32, "embed_dim": 32, "out_hidden_size": 32, "intermediate_size": 48}
BESIDE |= {"num_hidden_layers": 1, "depth": 1, "encoder_layers": 1, "num_global_layers": 1, "num_blocks": 1}
BESIDE |= {"num_attention_heads": 4, "num_heads": 4, "attention_heads": 4, "encoder_attention_heads": 4, "head_dim": 8}
BESIDE |= {"num_key_value_heads": 4, "image_size": 16, "patch_size": 8, "vocab_size": 30, "encoder_ffn_dim": 48}
BESIDE |= {"num_position_embeddings": 16, "position_embedding_size": 16, "vision_output_dim": 32, "mlp_dim": 48}
BESIDE |= {"output_channels": 8, "global_attn_indexes": [0], "ext_dim": 32, "base_channels": 32, "codebook_size": 16}
BESIDE |= {"num_res_blocks": 1, "latent_channels": 32, "output_proj_dims": 32, "num_pos_emb": 16}

_LATENT = {"num_key_value_heads": HEADS}  # keys and values from one low-rank map: no groups
_MIXED = {"layer_types": ["full_attention", "linear_attention", "full_attention"]}
_DECODER = {"is_encoder_decoder": False, "is_decoder": True}  # a decoder saved by itself
_ROTATION = {"rope_type": "default", "rope_theta": 10000.0}
_EXPERTS = {"hidden_size": 32, "ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2}
SPECIAL = {
    "axk1": _LATENT,
    "axk2": _LATENT | {"head_dim": 16},
    "bailing_hybrid": _LATENT | _MIXED | {"num_mtp_layers": 0},
    "bamba": {"attn_layer_indices": [1]},
    "bart": _DECODER,
    "bigbird_pegasus": _DECODER,
    "blenderbot": _DECODER,
    "blenderbot-small": _DECODER,
    "cohere_compass_text": {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}
    | {"rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), _ROTATION)},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0}, "ffn_config": _EXPERTS},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False},
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "deepseek_v32": _LATENT,
    "dots1": {"n_shared_experts": 1},
    "dots3_note_text": _LATENT | {"shared_experts_intermediate_size": 24, "layer_types": ["sliding_attention"] * 3},
    "esmc": _LATENT,
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "glm4_moe_lite": _LATENT,
    "glm_moe_dsa": _LATENT,
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]], "window_size": WINDOW},
    "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba"]},
    "hy_v4": _LATENT | {"head_dim": 16},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    "kimi_linear": _LATENT | _MIXED,
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": {"num_layers": 2, "head_dim": 8, "qk_head_dim": 16, "zero_expert_num": 2} | _LATENT,
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "marian": _DECODER,
    "mbart": _DECODER,
    "minicpm3": _LATENT,
    "mvp": _DECODER,
    "neomme": {"head_dim": 16},
    "olmo_hybrid": _MIXED,
    "pegasus": _DECODER,
    "plbart": _DECODER,
    "prophetnet": _DECODER | {"num_decoder_layers": LAYERS, "num_decoder_attention_heads": HEADS},
    "qwen3_5_moe_text": _MIXED,
    "qwen3_5_text": _MIXED,
    "qwen3_next": _MIXED,
    "qwen4_exp_text": {"layer_types": ["linear_attention", "indexed_attention", "indexed_attention"], "hc_count": 2}
    | {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8}
    | {"indexer_compress_ratio": 2, "hc_lowrank": 8},
    "reformer": {"is_decoder": True, "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8]}
    | {"attn_layers": ["local", "lsh", "local"], "attention_head_size": 8, "feed_forward_size": 48},
    "roc_bert": {"pronunciation_vocab_size": 20, "shape_vocab_size": 20}
    | {"pronunciation_embed_dim": 8, "shape_embed_dim": 8},
    "squeezebert": {"embedding_size": 32},
    "whisper": _DECODER,
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "youtu": _LATENT,
    "zamba": {"num_hidden_layers": 6, "n_mamba_heads": 2, "use_mamba_kernels": False},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid", "linear_attention"], "n_mamba_heads": 4}
    | {"chunk_size": 8, "mamba_d_state": 8, "use_mamba_kernels": False},
    "zaya": {"num_experts_per_tok": 1},
}
# Where a type has both a causal and a masked model and they differ.
SPECIAL_OF_TASK = {("reformer", "masked"): {"is_decoder": False, "attn_layers": ["local"] * 3}}
SPECIAL_OF_TASK |= {("xlm", "causal"): {"causal": True}}
_DECODING = "bert bert-generation big_bird camembert data2vec-text electra ernie megatron-bert rembert roberta"
_DECODING += " roberta-prelayernorm roc_bert roformer xlm-roberta xlm-roberta-xl xmod"
SPECIAL_OF_TASK |= {(kind, "causal"): {"is_decoder": True} for kind in _DECODING.split()}


def types():
    """Every language-model type of the installed `transformers` with its task: a sorted list of (type, task)."""
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return sorted([(kind, "causal") for kind in causal] + [(kind, "masked") for kind in masked])


def configuration(kind, task="causal", **changes):
    """The configuration of a tiny model of that type."""
    chosen = _settings(kind) | SPECIAL_OF_TASK.get((kind, task), {}) | changes
    return transformers.CONFIG_MAPPING[kind](**chosen)


def model(kind, task="causal", seed=0, spread=0.2, **changes):
    """A tiny model of that type; weights far enough from zero that its attention is far from uniform."""
    torch.manual_seed(seed)
    made = AUTO[task].from_config(configuration(kind, task, **changes), dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(spread * torch.randn(parameter.shape))
    return made


def save(folder, kind, task="causal", seed=0, spread=0.2, **changes):
    """Save such a model as a user would; returns the checkpoint that `pretrained.fetch` takes."""
    model(kind, task, seed, spread, **changes).save_pretrained(folder)
    return {"name": str(folder)}


def _settings(kind):
    known = transformers.CONFIG_MAPPING[kind]
    parts = {} if kind in SPECIAL else _parts(known)
    return _named(known, GENERIC) | parts | SPECIAL.get(kind, {})


def _parts(known):
    """Configurations inside a configuration: the text's in full, those of images and sounds as small as can be."""
    if not getattr(known, "sub_configs", {}):
        return {}
    whole, found = known().to_dict(), {}
    for name, of_part in known.sub_configs.items():
        kind = (whole.get(name) or {}).get("model_type")
        if name == "text_config" and kind in transformers.CONFIG_MAPPING:
            found[name] = _settings(kind)
        else:
            known_part = kind in transformers.CONFIG_MAPPING  # a lazy mapping: its get finds nothing
            of_part = transformers.CONFIG_MAPPING[kind] if known_part else of_part
            found[name] = _named(of_part, GENERIC if name == "text_config" else BESIDE)
        found[name] |= {"model_type": kind} if kind else {}
    return found


def _named(known, sizes):
    """The sizes that a class of configurations has, under its own names for them."""
    try:
        have = known().to_dict()
    except Exception:  # a class whose own defaults do not fit together
        have = {}
    names = getattr(known, "attribute_map", {})
    chosen = {name: value for name, value in sizes.items() if name in have}
    return chosen | {names[name]: value for name, value in sizes.items() if name in names and names[name] not in chosen}
