"""Whether a pretrained model predicts the text that it is shown: the sign that its tokenizer is the right one."""

import sys

import numpy as np

from headatlas.base.errors import InputError
from headatlas.data import ngram_baselines, tokenizer_reading
from headatlas.models import interventions, knockout

WINDOWS = 32  # that are judged, and as many that are counted, at most


def warn(family, windows, tokenizer, file=sys.stderr):
    """Say in one line if a pretrained model predicts text worse than counting its tokens does.

    Parameters
    ----------
    family : what `families.load_family` gives
    windows : integer array of shape (window, position)
    tokenizer : tokenizer_reading.Tokenizer
    file : file
        Where to say it.
    """
    reading = tokenizer_reading.reading(tokenizer, family.causal)
    if family.config["kind"] != "pretrained" or (not family.causal and reading["mask"] is None):
        return
    try:
        losses, unigram = beside_counting(family, windows, **reading)
    except InputError:  # of few windows, and of models whose outputs nobody can replace
        return
    worse = losses > unigram
    if worse.any():
        print(
            f"warning: {worse.sum()} of {len(losses)} checkpoints predict text worse than counting its tokens does "
            f"(loss {losses[worse].max():.2f}, unigram baseline {unigram:.2f} nats): their tokenizer may be another "
            "than the one that they were trained with",
            file=file,
        )


def beside_counting(family, windows, causal, pad=None, mask=None, seed=0):
    """Losses of a family's members on every other window, and of a unigram model counted on the windows between.

    Parameters
    ----------
    family : what `families.load_family` gives
    windows : integer array of shape (window, position)
        Of which the first `2 * WINDOWS` are taken.
    causal : bool
    pad, mask : int, optional
    seed : int
        Of the tokens that are masked, where the model is not causal.

    Returns
    -------
    losses : array of shape (member,)
        Nats per token.
    unigram : float
        Of the same windows; generous, as it has seen so few.

    Raises
    ------
    InputError
        If there are fewer than two windows, or the model's readout is not known.
    """
    windows = np.asarray(windows)[: 2 * WINDOWS]
    judged, counted = windows[::2], windows[1::2]
    if not len(counted):
        raise InputError("one window: nothing to count beside it")
    unigram = ngram_baselines.baselines(counted[None], judged, family.vocabulary, pad, causal)["unigram"].iloc[0]
    inputs, targets = knockout.scored(judged, causal, pad, mask, seed)
    losses = []
    for index in range(family.members):
        member = interventions.open_member(family, index)
        of_prompts = [
            knockout.prompt_losses(member.readout, member.run(inputs[part]).hidden[None], targets[part])[0]
            for part in knockout.blocks(member, inputs, 0)
        ]
        losses.append(np.nanmean(np.concatenate(of_prompts)))
    return np.array(losses), float(unigram)
