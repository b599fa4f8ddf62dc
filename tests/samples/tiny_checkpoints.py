"""Tiny checkpoints of `transformers` models with random weights, made from configurations."""

import json

import torch
import transformers
from safetensors.torch import save_file

from headatlas.models import families, pretrained

SMALL = {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 24}
SMALL |= {"vocab_size": 30, "max_position_embeddings": 20}


CONFIGS = {
    "gpt2": {"n_embd": 16, "n_head": 4, "n_layer": 3, "n_positions": 20, "vocab_size": 30},
    "gpt2 scaled by layer": {
        **{"model_type": "gpt2", "n_embd": 16, "n_head": 4, "n_layer": 3, "n_positions": 20, "vocab_size": 30},
        **{"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    },
    "gpt_neox": SMALL,
    "llama": SMALL | {"num_key_value_heads": 2, "pad_token_id": None},
    "mistral": SMALL | {"num_key_value_heads": 1, "sliding_window": 4},
    "gemma2": SMALL | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4, "attn_logit_softcapping": 0.05},
    "opt": {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 3, "ffn_dim": 24, "vocab_size": 30}
    | {"max_position_embeddings": 20, "word_embed_proj_dim": 16},
    "bert": SMALL,
    "roberta": SMALL | {"max_position_embeddings": 24},
    "electra": SMALL | {"embedding_size": 8},
    "albert": SMALL | {"embedding_size": 8, "num_hidden_groups": 1},
    "distilbert": {"dim": 16, "n_heads": 4, "n_layers": 3, "hidden_dim": 24, "vocab_size": 30}
    | {"max_position_embeddings": 20},
    "modernbert": SMALL | {"local_attention": 4, "global_attn_every_n_layers": 2, "pad_token_id": 0},
}


MASKED = ("bert", "roberta", "electra", "albert", "distilbert", "modernbert")


AUTO = {"causal": transformers.AutoModelForCausalLM, "masked": transformers.AutoModelForMaskedLM}


def task_of(name):
    return "masked" if name in MASKED else "causal"


def checkpoint(folder, name, seed=0, **changes):
    """A small model of random weights, large enough that its attention is far from uniform, saved as a user would."""
    settings = {"model_type": name, "bos_token_id": 1, "eos_token_id": 2} | CONFIGS[name] | changes
    config = transformers.AutoConfig.for_model(**settings)
    torch.manual_seed(seed)
    model = AUTO[task_of(name)].from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    return {"name": str(folder)}


def opened(folder, checkpoints, task, **options):
    weights, config = pretrained.fetch(checkpoints, task, **options)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")
