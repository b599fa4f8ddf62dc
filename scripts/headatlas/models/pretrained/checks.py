"""Whether what is seen of a model's heads is what the model does: looked at once, on a few tokens."""

from typing import NamedTuple

import torch

from headatlas.base.errors import InputError
from headatlas.models.pretrained.watching import Capture, NotAPatternError, OwnCode, watched

_SIZE, _PADDING = 8, 3  # tokens of the two sequences shown, and how many of the second one's are padding
_ATOL = {torch.float32: 1e-3, torch.float64: 1e-3}
_ATOL_OF_HALF = 5e-2


class Layout(NamedTuple):
    """How the heads of a model lie, as a pass over a few tokens shows."""

    heads: int
    d_head: int  # of queries and keys
    d_value: int  # of values, and of what a head gives out
    scalings: list  # of each layer: scores are q.k times it, and what else enters them
    own_code: bool  # it does not call transformers' attention functions: its operations are watched


def first_line(error):
    """The first line that an exception has to say, or its type; of a nest of checks, what the innermost says."""
    if isinstance(error, KeyError):
        return f"{error} is not known to transformers"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if lines[0].startswith("Class validation error") or lines[0].startswith("Validation error"):
        return lines[-1].removeprefix("ValueError:").removeprefix("TypeError:").strip()
    return lines[0]


def refusal(model_type, reason, advice="choose a model with softmax attention of one shape in every layer"):
    """The error of a model whose patterns cannot be taken."""
    return InputError(f"model type {model_type!r}: patterns cannot be taken, {reason}; {advice}")


_REFUSED = {"nystromformer": "what a head gives out holds a convolution of its values too"}


def layout(model, task):
    """How a model's heads lie.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With its language-model head, under the eager implementation.
    task : {"causal", "masked"}

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        If patterns cannot be taken from every layer, layers differ, or a causal model sees later tokens.
    """
    config = model.config.get_text_config()
    if config.model_type in _REFUSED:
        raise refusal(config.model_type, _REFUSED[config.model_type])
    tokens, real = shown(model)
    seen, own_code = _pass(model, tokens, real, None), False
    if not seen:
        seen, own_code = _pass(model, tokens, real, OwnCode(batch=len(tokens), measuring=True)), True
    _require_all_layers(config, seen)
    if any(bool(one.pattern.isnan().any()) for one in seen):
        raise refusal(
            config.model_type,
            "its attention is not a number",
            "its weights may be damaged, or stored in a precision that it does not bear",
        )
    if task == "causal" and any(bool(one.pattern.triu(1).any()) for one in seen):
        raise InputError(
            f"model type {config.model_type!r}: task causal, but a token sees the one after it; "
            "if it is a masked model write task: masked, if it is a decoder its config.json must say is_decoder: true"
        )
    first = seen[0]
    return Layout(
        first.queries.shape[1], first.queries.shape[-1], first.values.shape[-1], [s.scaling for s in seen], own_code
    )


def require_eager(model, found):
    """What is seen of a model must be what its own eager implementation does, on a few tokens.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    found : Layout

    Raises
    ------
    InputError
        If patterns or hidden states differ.
    """
    config = model.config.get_text_config()
    tokens, real = shown(model)
    capture = Capture()
    with torch.no_grad():
        with watched(OwnCode(heads=found.heads) if found.own_code else None, capture=capture):
            ours = model.base_model(tokens, attention_mask=real)[0]
        theirs = model.base_model(tokens, attention_mask=real, output_attentions=True)
    atol = _ATOL.get(model.dtype, _ATOL_OF_HALF)
    given = theirs.get("attentions") or ()
    shapes = [one.pattern.shape for one in capture.layers]
    if [getattr(one, "shape", None) for one in given] == shapes and all(
        0 <= one.min() <= one.max() <= 2 for one in given
    ):
        kept = real.bool()[:, None, :, None]  # what padding attends to is read by nobody
        pairs = [
            (one.pattern.where(kept, 0), other.where(kept, 0)) for one, other in zip(capture.layers, given, strict=True)
        ]
    elif model.dtype in _ATOL:
        pairs = [tuple(part.where(real.bool()[..., None], 0) for part in (ours, theirs[0]))]
    else:
        return
    for layer, (one, other) in enumerate(pairs):
        if not torch.allclose(one.float(), other.float(), atol=atol, rtol=atol):
            raise refusal(
                config.model_type,
                f"layer {layer} differs from its own eager attention by {float((one - other).abs().max()):.2g}",
            )


def shown(model):
    """Two sequences of different tokens, the second one with padding behind: ids and which of them are real."""
    config = model.config.get_text_config()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(config.vocab_size, (2, _SIZE), generator=generator)
    padding = stand_in(config)
    tokens[tokens == padding] = (padding + 1) % config.vocab_size
    real = torch.ones_like(tokens)
    real[1, -_PADDING:] = 0
    tokens = torch.where(real.bool(), tokens, padding)
    return tokens.to(model.device), real.to(model.device)


def stand_in(config):
    """A token that the model has, to be shown in the place of padding."""
    pad = getattr(config, "pad_token_id", None)
    return pad if pad is not None and 0 <= pad < config.vocab_size else 0


def _pass(model, tokens, real, own_code):
    """What every layer shows; of a model with attention code of its own, with the scaling of each layer."""
    config, capture = model.config.get_text_config(), Capture()
    try:
        with torch.set_grad_enabled(own_code is not None), watched(own_code, capture=capture):
            model.base_model(tokens, attention_mask=real)
    except NotAPatternError as error:
        raise refusal(config.model_type, error) from None
    except Exception as error:  # whatever the code of 200 types may raise
        raise refusal(config.model_type, f"a pass over {_SIZE} tokens fails ({first_line(error)})") from None
    return [one._replace(pattern=one.pattern.detach()) for one in capture.layers]


def _require_all_layers(config, seen):
    expected, kind = config.num_hidden_layers, config.model_type
    if not seen:
        raise refusal(
            kind,
            "no layer forms a softmax over pairs of tokens (it is recurrent or convolutional, or approximates one)",
        )
    if len(seen) < expected:
        raise refusal(kind, f"only {len(seen)} of its {expected} layers have softmax attention")
    if len(seen) > expected:
        raise refusal(kind, f"its {expected} layers compute attention {len(seen)} times")
    size = seen[0].pattern.shape[-1]
    if any(one.pattern.shape[-2:] != (_SIZE, _SIZE) for one in seen):
        raise refusal(kind, f"its layers do not attend from every token to every token ({size} keys of {_SIZE})")
    for name, read in (("heads", lambda s: s.queries.shape[1]), ("dimensions of a head", lambda s: s.queries.shape[3])):
        if len(counts := {read(one) for one in seen}) > 1:
            raise refusal(kind, f"its layers differ in their number of {name} ({', '.join(map(str, sorted(counts)))})")
