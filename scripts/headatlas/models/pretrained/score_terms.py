"""What enters the scores of a model's heads besides q.k: found from its patterns, so that it is what it does."""

import torch

_SEEN = 1e-6  # attention below which a score cannot be told from the pattern
_UNDERFLOW = 1e-30  # attention that may be zero for no other reason than its size
_ATOL = 1e-3  # by which scores may differ


def score_terms(layers, causal, softcap=None):
    """What must be added to, or done to, q.k * scaling before its softmax is the pattern.

    Parameters
    ----------
    layers : iterable of Seen
        Of two windows of different tokens without padding.
    causal : bool
        Whether a query sees no later key.
    softcap : float, optional
        What the model says of its own softcap.

    Returns
    -------
    list of str
        A sentence for each term and the layers that have it; none where the pattern is softmax(q.k * scaling).
    """
    found = {}
    for number, layer in enumerate(layers):
        for term in _terms(layer, causal, softcap):
            found.setdefault(term, []).append(number)
    count = number + 1
    return [f"{_layers(numbers, count)}: {term}" for term, numbers in found.items()]


def _layers(numbers, count):
    if len(numbers) == count:
        return "all layers" if count > 1 else "its layer"
    return f"layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _terms(layer, causal, softcap):
    pattern = layer.pattern.double()  # (window, head, query, key)
    size = pattern.shape[-1]
    allowed = torch.ones(size, size, dtype=torch.bool, device=pattern.device)
    allowed = allowed.tril() if causal else allowed
    scores = layer.queries.double() @ layer.keys.double().mT * layer.scaling
    expected = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
    unseen = (pattern == 0).all(1) & (expected > _UNDERFLOW).any(1) & allowed  # (window, query, key), by all heads
    told = (pattern > _SEEN) & allowed
    rest = torch.where(told, pattern.clamp(_SEEN).log() - scores, 0)
    rest = rest - rest.sum(-1, keepdim=True) / told.sum(-1, keepdim=True)
    rest = torch.where(told, rest, 0)  # what is left of the scores, up to a constant in each row
    if unseen.any():
        yield _unseen(unseen, allowed)
    softcap = softcap or layer.softcap
    if softcap is not None:
        yield f"scores are squeezed into (-{softcap:g}, {softcap:g}) by a tanh (softcap)"
    elif rest.abs().max() > _ATOL * scores.abs().max().clamp(1):
        yield _rest(rest, told)


def _unseen(unseen, allowed):
    place = torch.arange(len(allowed), device=allowed.device)
    apart = (place[:, None] - place).abs()
    if (unseen == unseen[:1]).all():
        seen = allowed & ~unseen[0]
        reach = int(apart[seen].max())
        if torch.equal(seen, allowed & (apart <= reach)):
            return f"only keys at most {reach} positions away are seen (a sliding window)"
        return "some keys are not seen, by their positions (chunks or blocks)"
    return "some keys are not seen, by what the tokens are (sparse attention)"


def _rest(rest, told):
    both = told.all(0)
    alike = torch.where(both, rest, 0)
    alike = alike - alike.sum(-1, keepdim=True) / both.sum(-1, keepdim=True).clamp(1)
    if torch.where(both, (alike[0] - alike[1]).abs(), 0).max() <= _ATOL * rest.abs().max().clamp(1):
        return "a bias by the positions of query and key is added (as in ALiBi)"
    return "terms by tokens and by their relative positions are added"
