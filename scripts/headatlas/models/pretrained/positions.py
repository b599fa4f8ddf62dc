"""How long a window a model can take: the rows that its tables of positions really have, or what it says of itself."""

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
_SIZE = 3  # tokens that are shown


class _Lookups(TorchFunctionMode):
    """Notes the tables of which a pass reads neighbouring rows, and the first of them."""

    def __init__(self):
        super().__init__()
        self.positions = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is functional.embedding:
            places, table = (*args, *(kwargs or {}).values())[:2]
            row = places.reshape(-1)[:_SIZE].tolist()
            if row == [row[0] + step for step in range(_SIZE)]:
                self.positions.append((row[0], len(table)))
        return function(*args, **(kwargs or {}))


def context(model):
    """The longest window that a model takes, in tokens; None for no limit.

    Positions are counted from the padding's id in RoBERTa and its kin (CamemBERT, data2vec, ESM, XMOD, LUKE, I-BERT),
    so that the first rows of their tables stand for no position; what a pass over three tokens reads tells.

    Parameters
    ----------
    model : transformers.PreTrainedModel

    Returns
    -------
    int or None
    """
    config = model.config.get_text_config()
    second, first, third = [token for token in range(_SIZE + 2) if token != getattr(config, "pad_token_id", None)][
        :_SIZE
    ]
    tokens = torch.tensor([[first, second, third]], device=model.device)  # rises nowhere by one, as positions do
    with torch.no_grad(), _Lookups() as lookups:
        model.base_model(tokens, attention_mask=torch.ones_like(tokens))
    found = [rows - first for first, rows in lookups.positions]
    given = [value for name in _NAMES if isinstance(value := getattr(config, name, None), int) and value > 0]
    if not found:
        found = given[:1]
    if getattr(config, "model_type", "") == "big_bird" and config.attention_type == "block_sparse":
        found.append((5 + 2 * config.num_random_blocks) * config.block_size)  # shorter windows are attended to in full
    return min(found) if found else None
