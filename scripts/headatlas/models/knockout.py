"""Knocking out attention heads: each head of a member in turn, by zero, by its mean, or by another prompt's output.

A head's output is its mix of values before the output matrix W_O. Knocked out at every position, it becomes

zero      nothing (Edkins & Wiechecki 2023), which the network has never met in training;
mean      its mean over a set of prompts at the same position, which keeps what it says whatever the prompt;
resample  its output on another prompt at the same position: what it might as well have said.

The control for what ablating a head costs is another head of the layer in its place, at equal size: the mean stays the
head's own, what varies about it is the other's (`exchange`). A random subspace is no control: it cuts through what
all heads write, and costs .046 nats where real heads cost .079.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headatlas.base.errors import InputError
from headatlas.models.ablations import ABLATIONS, DONORS, MEANS, needing
from headatlas.models.memory_limits import KNOCKOUT

KINDS = tuple(ABLATIONS)
MEMORY = KNOCKOUT
MASKING = 0.15  # share of tokens masked where the loss of a bidirectional model is measured


@dataclass(frozen=True)
class Replacements:
    """What the outputs of a member's heads are replaced by.

    Attributes
    ----------
    means : list of Tensor of shape (position, head, d_head), one for each layer
        What `mean_outputs` gives; needed for "mean".
    donors : integer array of shape (prompt, position)
        For each prompt, the one whose outputs take the place of its own, as `draw_donors` gives; needed for "resample".
    pad : int, optional
        Where a donor has padding, which says nothing, a prompt's own output stays.
    """

    means: Sequence | None = None
    donors: np.ndarray | None = None
    pad: int | None = None


def mean_outputs(member, tokens, pad=None, memory=MEMORY):
    """Mean output of every head at every position, over prompts whose token there is real.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (prompt, position)
    pad : int, optional
    memory : int
        Bytes, about.

    Returns
    -------
    list of Tensor of shape (position, head, d_head), one for each layer
    """
    return output_statistics(member, tokens, pad, memory)[0]


def output_statistics(member, tokens, pad=None, memory=MEMORY):
    """Means of the heads' outputs, and how the outputs vary about them; parameters as `mean_outputs`.

    Returns
    -------
    means : list of Tensor of shape (position, head, d_head), one for each layer
        Over prompts whose token at the position is real.
    variations : list of float64 Tensor of shape (head, d_head, d_head), one for each layer
        Mean outer product of a head's output less its mean at the position, over all real tokens.
    """
    tokens = np.asarray(tokens)
    totals, squares = [0.0] * member.layers, [0.0] * member.layers
    real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad
    for part in blocks(member, tokens, 0, memory):
        trace = member.run(tokens[part])
        weights = torch.from_numpy(real[part]).to(trace.hidden.device)[..., None, None]
        for layer, outputs in enumerate(trace.outputs):
            outputs = torch.where(weights, outputs, 0).double()  # (prompt, position, head, d_head)
            totals[layer] = totals[layer] + outputs.sum(0)
            by_head = outputs.permute(2, 0, 1, 3).flatten(1, 2)  # (head, prompt * position, d_head)
            squares[layer] = squares[layer] + by_head.mT @ by_head
    counts = torch.from_numpy(real.sum(0).clip(1))[:, None, None]
    means = [total / counts.to(total.device) for total in totals]
    variations = [
        (square - torch.einsum("phi,phj->hij", total, mean)) / max(1, int(real.sum()))
        for square, total, mean in zip(squares, totals, means, strict=True)
    ]
    return [mean.to(trace.hidden.dtype) for mean in means], variations


def written_size(variations, writers):
    """Root mean square length of what heads write about their means, (head,): W_O (head, d_head, d_model) included."""
    writers = writers.double()
    return ((variations @ writers) * writers).sum((1, 2)).clamp(min=0).sqrt()


def exchange(member, trace, layer, own, sent, factors):
    """Put what varies in other heads in the place of what varies in each head of a layer.

    A head's mean output stays: so no exchange at all is the mean ablation, and the head itself in its own place is
    the undisturbed pass.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    trace : interventions.Trace
        Of all positions.
    layer : int
    own : Tensor of shape (head, prompt, position, d_model)
        What each head of the layer writes less its mean.
    sent : Tensor of shape (other, prompt, position, d_model)
        What takes its place.
    factors : Tensor of shape (head, other)
        What `sent` is multiplied by.

    Yields
    ------
    Tensor of shape (other, prompt, position, d_model)
        Hidden states with each of the others in place of head 0, 1, ...
    """
    for head, factor in zip(own, factors, strict=True):
        yield member.shifted(trace, layer, sent * factor[:, None, None, None] - head)


def reading(tokens, causal, pad=None, mask=None):
    """What a member is shown so that its last prediction can be read, and where that is.

    A causal model predicts what follows the last token. A bidirectional one is shown a mask in the last
    token's place where there is a mask token, so that it too has something to predict.

    Parameters
    ----------
    tokens : integer array of shape (prompt, position)
    causal : bool
    pad, mask : int, optional

    Returns
    -------
    tokens : integer array of shape (prompt, position)
    at : integer array of shape (prompt,)
        The last position that is not padding.
    """
    tokens = np.array(tokens)
    real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad
    at = np.where(real.any(1), tokens.shape[1] - 1 - real[:, ::-1].argmax(1), 0)
    if not causal and mask is not None:
        tokens[np.arange(len(tokens)), at] = mask
    return tokens, at


def scored(tokens, causal, pad=None, mask=None, seed=0):
    """What a member is shown, and what it must predict where.

    Parameters
    ----------
    tokens : integer array of shape (prompt, position)
    causal : bool
        Next tokens are predicted; otherwise tokens masked at random, at least one in each prompt.
    pad, mask : int, optional
    seed : int

    Returns
    -------
    inputs : integer array of shape (prompt, position)
    targets : integer array of shape (prompt, position)
        -1 where nothing is predicted.
    """
    tokens = np.asarray(tokens, dtype=np.int64)
    real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad
    if causal:
        return tokens[:, :-1], np.where(real[:, :-1] & real[:, 1:], tokens[:, 1:], -1)
    if mask is None:
        raise InputError("loss of a bidirectional model: it has no mask token, so there is nothing to predict")
    drawn = np.where(real, np.random.default_rng(seed).random(tokens.shape), 2.0)
    hidden = real & ((drawn < MASKING) | (drawn == drawn.min(1, keepdims=True)))
    return np.where(hidden, mask, tokens), np.where(hidden, tokens, -1)


def prompt_losses(readout, hidden, targets):
    """Mean loss of each prompt, (pass, prompt), over its targets (prompt, position); NaN for a prompt without any.

    `hidden` are states (pass, prompt, position, d_model) that the readout reads; -1 is no target.
    """
    return class_losses(readout, hidden, targets, (targets >= 0)[None])[0]


def class_losses(readout, hidden, targets, which):
    """The same of some of the targets at a time, (class, pass, prompt): `which`, bool (class, prompt, position)."""
    targets = torch.from_numpy(targets).to(hidden.device)
    where = targets >= 0
    wanted = targets[where]
    losses = readout.losses(hidden[:, where].flatten(0, 1), wanted.repeat(len(hidden))).view(len(hidden), -1).double()
    prompt, found = where.nonzero()[:, 0], []
    for own in torch.from_numpy(which).to(hidden.device):
        of_class = own[where]  # (target,)
        sums = losses.new_zeros(len(hidden), len(where)).index_add_(1, prompt[of_class], losses[:, of_class])
        found.append(sums / own.sum(1).double())
    return torch.stack(found).cpu().numpy()


def deranged(count, seed):
    """A permutation of 0..count-1 that leaves nothing in its place, so that every prompt has another as donor."""
    if count < 2:
        raise InputError(f"resampling: {count} prompt(s) given; it needs another prompt, so at least 2")
    order = np.random.default_rng(seed).permutation(count)
    found = np.empty(count, dtype=np.int64)
    found[order] = np.roll(order, 1)
    return found


def draw_donors(tokens, seed, pad=None):
    """For each prompt another, at random among those with tokens wherever it has any, so that padding stands for none.

    A prompt longer than all others gets one of the longest others.

    Parameters
    ----------
    tokens : integer array of shape (prompt, position)
    seed : int
    pad : int, optional

    Returns
    -------
    integer array of shape (prompt, position)
        The donors' tokens. Without padding every prompt is the donor of one other.
    """
    tokens = np.asarray(tokens)
    found = deranged(len(tokens), seed)
    real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad
    if real.all():
        return tokens[found]
    generator = np.random.default_rng(seed)
    for prompt, own in enumerate(real):
        covered = (real & own).sum(1)
        covered[prompt] = -1
        found[prompt] = generator.choice(np.flatnonzero(covered == covered.max()))
    return tokens[found]


def knock_out(member, tokens, kinds=KINDS, replacements=None, at=None, memory=MEMORY):
    """Run prompts through a member with each of its heads knocked out in turn.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (prompt, position)
    kinds : sequence of str
        Of `ablations.ABLATIONS`.
    replacements : Replacements, optional
        Needed for "mean" and "resample".
    at : integer array of shape (prompt,), optional
        The one position read in each prompt; all when not given.
    memory : int
        Bytes that the passes of one block of prompts may take, about; at least one prompt is taken.

    Yields
    ------
    prompts : slice
        Which prompts; block after block.
    kind : str or None
        None for the undisturbed pass, which comes first.
    layer : int
        -1 for the undisturbed pass.
    hidden : Tensor of shape (head, prompt, read position, d_model)
        What the member's `readout` reads; head is 0 alone for the undisturbed pass.
    """
    tokens, replacements = np.asarray(tokens), replacements or Replacements()
    _require(kinds, replacements, tokens)
    at = None if at is None else np.asarray(at)
    for part in blocks(member, tokens, member.heads, memory):
        places = None if at is None else at[part]
        trace = member.run(tokens[part], places)
        yield part, None, -1, trace.hidden[None]
        donors = member.run(replacements.donors[part], places).outputs if needing(kinds, DONORS) else None
        for layer, outputs in enumerate(trace.outputs):
            for kind in kinds:
                mean = _at(replacements.means[layer], outputs, trace.at) if ABLATIONS[kind].needs == MEANS else None
                donor = donors[layer] if ABLATIONS[kind].needs == DONORS else None
                change = ABLATIONS[kind].replace(outputs, mean, donor) - outputs  # (prompt, position, head, d_head)
                if donor is not None and replacements.pad is not None:
                    change = change * _real(replacements.donors[part] != replacements.pad, change, trace.at)
                yield part, kind, layer, member.replaced(trace, layer, change.permute(2, 0, 1, 3))


def _at(means, outputs, at):
    """Means (position, head, d_head) at the positions of outputs (prompt, position, head, d_head)."""
    size = outputs.shape[1]
    if at is not None and size == 1:  # a last layer of which one position was computed
        return means[at][:, None]
    return means[:size]


def _real(real, outputs, at):
    """Which donors' tokens (prompt, position) are real, as a factor of outputs (prompt, position, head, d_head)."""
    real = torch.as_tensor(real, device=outputs.device)
    if at is not None and outputs.shape[1] == 1:  # a last layer of which one position was computed
        real = real.gather(1, at[:, None])
    return real[..., None, None]


def blocks(member, tokens, passes, memory=MEMORY):
    """Slices of prompts (prompt, position) that fit the memory, about, while each takes that many passes."""
    prompts, size = tokens.shape
    block = max(1, min(memory, member.at_once or memory) // max(1, member.prompt_bytes(size, passes)))
    return [slice(first, min(first + block, prompts)) for first in range(0, prompts, block)]


def _require(kinds, replacements, tokens):
    if unknown := set(kinds) - set(KINDS):
        raise InputError(f"knockout: {sorted(unknown)[0]!r} is not a kind; allowed: {', '.join(KINDS)}")
    if needing(kinds, MEANS) and replacements.means is None:
        raise InputError("knockout by the mean: no means given; `mean_outputs` computes them")
    if needing(kinds, MEANS) and len(replacements.means[0]) < tokens.shape[1]:
        longest = len(replacements.means[0])
        raise InputError(f"knockout by the mean: prompts of {tokens.shape[1]} tokens, means of {longest} positions")
    if needing(kinds, DONORS) and np.shape(replacements.donors) != tokens.shape:
        shape = "none" if replacements.donors is None else f"of shape {np.shape(replacements.donors)}"
        raise InputError(f"knockout by another prompt: donors {shape} given for prompts of shape {tokens.shape}")
