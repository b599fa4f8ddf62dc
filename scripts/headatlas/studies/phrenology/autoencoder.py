"""Compression of attention patterns by autoencoders: every width and seed is one network of a single stacked job.

A network narrows by halves, `entries - 128 - 64 - ... - width - ... - 128 - entries`, with tanh at every layer but the
last (Edkins & Wiechecki 2023, "Attention phrenology", Table 1). Layers that several widths have in common are one
batched product: on the way down a network leaves the stack once it is as narrow as its code, on the way up it joins
again. Network (width, seed) depends on its own width and seed alone, never on what is trained beside it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from headatlas.base.errors import InputError
from headatlas.base.progress import bar, track
from headatlas.models.adam import Adam

CHUNK = 2048  # rows passed at a time where nothing is learned: small enough to stay in the cache
DRAWN = 1 << 24  # numbers drawn by all networks at a time: of long prompts, fewer rows
Layer = tuple[torch.Tensor, torch.Tensor]  # weight (network, in, out), bias (network, 1, out)


@dataclass(frozen=True)
class AutoencoderSettings:
    """How the networks are trained."""

    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    epochs: int
    batch: int
    learning_rate: float
    rows: int | None  # at most so many rows are fitted, drawn at random; None: all
    widest: int = 128  # of the hidden layers

    def __post_init__(self):
        for width in self.widths:
            if width < 1 or width & (width - 1) or width > self.widest:
                raise InputError(f"autoencoder widths: {width} is not a power of two between 1 and {self.widest}")
        if self.widest < 1 or self.widest & (self.widest - 1):
            raise InputError(f"autoencoder widest: {self.widest} is not a power of two")
        if not self.widths or not self.seeds:
            raise InputError("autoencoder widths and seeds: both must name at least one")


def encoder_sizes(entries, width, widest=128):
    """Sizes of the layers from input to bottleneck.

    Parameters
    ----------
    entries : int
        Length of a pattern; the first hidden layer is the largest power of two below it, at most `widest`.
    width : int
        Size of the bottleneck.

    Returns
    -------
    list of int
        For 256 entries and width 2: 256, 128, 64, 32, 16, 8, 4, 2, that is 14 layers with the decoder's.
    """
    size = min(widest, 1 << (entries - 1).bit_length() - 1)
    if width > size:
        raise InputError(
            f"autoencoder widths: {width} does not compress patterns of {entries} entries (at most {size})"
        )
    sizes = [entries]
    while size >= width:
        sizes.append(size)
        size //= 2
    return sizes


def parameter_count(entries, width, widest=128):
    """Trained weights and biases of one network, encoder and decoder."""
    sizes = encoder_sizes(entries, width, widest)
    return sum((a + 1) * b + (b + 1) * a for a, b in pairwise(sizes))


def published_aic(mse, width):
    """`2b - 2 ln(MSE)` as published: counts the width alone and rises as the fit improves."""
    return 2 * np.asarray(width) - 2 * np.log(mse)


def information_criteria(rss, observations, parameters):
    """Akaike's and Schwarz's criteria of a least-squares fit, lower is better.

    Parameters
    ----------
    rss : float
        Sum of squared errors over the observations.
    observations, parameters : int
        Number of independent observations (held-out prompts) and of trained parameters.

    Returns
    -------
    tuple of float
        AIC = n ln(RSS/n) + 2p and BIC = n ln(RSS/n) + p ln n.
    """
    fit = observations * np.log(rss / observations)
    return fit + 2 * parameters, fit + parameters * np.log(observations)


@dataclass(frozen=True)
class Autoencoder:
    """One trained network: a list of (weight (in, out), bias (out,)) for each half."""

    width: int
    seed: int
    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]

    def encode(self, rows):
        """Embed rows (row, entry) as (row, width), each value between -1 and 1."""
        return self._apply(rows, self.encoder, last=torch.tanh)

    def decode(self, codes):
        """Draw patterns (row, entry) from embedding values (row, width)."""
        return self._apply(codes, self.decoder, last=None)

    def _apply(self, rows, layers, last):
        with torch.no_grad():
            parts = [_forward(part, layers, last) for part in _tensor(rows).split(CHUNK)]
        return torch.cat(parts).numpy()


def _forward(h, layers, last):
    for weight, bias in layers[:-1]:
        h = torch.tanh(h @ weight + bias)
    weight, bias = layers[-1]
    h = h @ weight + bias
    return h if last is None else last(h)


def _tensor(rows):
    return torch.from_numpy(np.array(rows, dtype=np.float32))


class Autoencoders:
    """The stack of networks, ordered by width, then seed.

    Attributes
    ----------
    widths, seeds : tuple of int
        Widths in ascending order.
    encoder, decoder : list of Layer
        `encoder[l]` and `decoder[-1 - l]` hold the first networks of the stack, those no wider than the layer.
    """

    def __init__(self, entries, settings, device="cpu"):
        self.entries, self.widest, self.device = entries, settings.widest, device
        self.widths, self.seeds = tuple(sorted(set(settings.widths))), tuple(settings.seeds)
        weights = {(w, s): _initial(entries, w, s, self.widest) for w in self.widths for s in self.seeds}
        sizes = encoder_sizes(entries, self.widths[0], self.widest)
        for width in self.widths:
            encoder_sizes(entries, width, self.widest)  # refuses what cannot be
        self.encoder, self.decoder = [], []
        for level, size in enumerate(sizes[1:]):
            here = [weights[w, s] for w in self.widths if w <= size for s in self.seeds]
            self.encoder.append(self._stacked([down[level] for down, _ in here]))
            self.decoder.insert(0, self._stacked([up[level] for _, up in here]))

    def _stacked(self, matrices):
        weight = torch.stack(matrices).to(self.device).requires_grad_()  # (network, in, out)
        return weight, torch.zeros(len(matrices), 1, weight.shape[2], device=self.device, requires_grad=True)

    def parameters(self):
        """Every trained tensor."""
        return [tensor for layer in self.encoder + self.decoder for tensor in layer]

    def reconstruct(self, rows):
        """Pass a batch of each seed's own, (seed, row, entry), through all networks: (width, seed, row, entry)."""
        h = rows.expand(len(self.widths), *rows.shape).flatten(0, 1)  # (network, row, entry)
        finished = []  # codes of the wide networks, while the narrower ones go on
        for weight, bias in self.encoder:
            finished.append(h[len(weight) :])
            h = torch.tanh(torch.baddbmm(bias, h[: len(weight)], weight))
        for weight, bias in self.decoder[:-1]:
            h = torch.cat([torch.tanh(torch.baddbmm(bias, h, weight)), finished.pop()])
        weight, bias = self.decoder[-1]
        return torch.baddbmm(bias, h, weight).unflatten(0, (len(self.widths), len(self.seeds)))

    def squared_errors(self, rows):
        """Sum of squared reconstruction errors of rows (row, entry), per network: float64 (width, seed)."""
        total = torch.zeros(len(self.widths), len(self.seeds), dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for part in _tensor(rows).split(min(CHUNK, max(1, DRAWN // (total.numel() * self.entries)))):
                part = part.to(self.device).expand(len(self.seeds), *part.shape)
                total += (self.reconstruct(part) - part).square().sum((-1, -2), dtype=torch.float64)
        return total.cpu().numpy()

    def network(self, width, seed):
        """The network of this width and seed by itself, on the CPU."""
        if width not in self.widths or seed not in self.seeds:
            raise InputError(f"autoencoder ({width}, seed {seed}): widths are {self.widths}, seeds {self.seeds}")
        i = self.widths.index(width) * len(self.seeds) + self.seeds.index(seed)
        depth = len(encoder_sizes(self.entries, width, self.widest)) - 1

        def alone(layers):
            return tuple((weight[i].detach().cpu(), bias[i, 0].detach().cpu()) for weight, bias in layers)

        return Autoencoder(width, seed, alone(self.encoder[:depth]), alone(self.decoder[-depth:]))


def _initial(entries, width, seed, widest):
    """Glorot's uniform weights: lists of (in, out) by level, encoder and decoder."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, width]).generate_state(1)[0]))
    sizes = encoder_sizes(entries, width, widest)
    down, up = [], []
    for a, b in pairwise(sizes):
        bound = (6 / (a + b)) ** 0.5
        down.append((torch.rand(a, b, generator=generator) * 2 - 1) * bound)
        up.append((torch.rand(b, a, generator=generator) * 2 - 1) * bound)
    return down, up


def fit(rows, settings, device="cpu"):
    """Train every width and seed at once: Adam on the mean squared error.

    Parameters
    ----------
    rows : array of float, (row, entry)
        One row per head and prompt.
    settings : AutoencoderSettings
    device : str or torch.device

    Returns
    -------
    Autoencoders
    """
    rows = _tensor(rows)
    if settings.rows is not None and settings.rows < len(rows):
        kept = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[: settings.rows]
        rows = rows[kept]
    rows = rows.to(device)
    networks = Autoencoders(rows.shape[1], settings, device)
    optimiser = Adam(networks.parameters(), settings.learning_rate)
    generators = [torch.Generator().manual_seed(seed) for seed in settings.seeds]
    with bar(
        settings.epochs * len(rows), f"{len(networks.widths) * len(settings.seeds)} autoencoders", "rows"
    ) as shown:
        for _ in range(settings.epochs):
            orders = torch.stack([torch.randperm(len(rows), generator=g) for g in generators]).to(device)
            for index in orders.split(settings.batch, dim=1):
                batch = rows[index]  # (seed, row, entry)
                optimiser.zero_grad()
                drawn = networks.reconstruct(batch)
                # the gradient of each network's own mean squared error: no network touches another
                drawn.backward((drawn.detach() - batch).mul_(2 / batch[0].numel()))
                optimiser.step()
                shown.update(index.shape[1])
    return networks


def published_table(patterns, settings=None, device="cpu"):
    """Table 1 as published: all rows fitted, the error on those same rows, `2b - 2 ln(MSE)`.

    Parameters
    ----------
    patterns : array of float, (head, prompt, entry)
        The full T x T patterns, zeros above the diagonal included.

    Returns
    -------
    table : DataFrame
        method, width, seed, layers, parameters, split ("fit"), mse, observations, aic, bic (NaN).
    networks : Autoencoders
    """
    rows = patterns.reshape(-1, patterns.shape[-1])
    networks = fit(rows, settings, device)
    table = _network_rows(networks, "fit", rows, 1, len(rows))
    return table.assign(aic=published_aic(table["mse"], table["width"]), bic=np.nan), networks


def corrected_table(patterns, members, settings, held_out, held_out_member=None, seed=0, device="cpu"):
    """Table 1 with held-out prompts, a held-out member, true parameter counts and PCA beside the networks.

    The observation is a prompt: RSS is the sum, over held-out prompts, of the squared error of all entries averaged
    over heads. A held-out member is scored on the held-out prompts, so that all numbers rest on the same prompts.

    Parameters
    ----------
    patterns : array of float, (head, prompt, entry)
        The packed patterns.
    members : array of int, (head,)
        Member of every head.
    held_out : float
        Share of the prompts that is never fitted.
    held_out_member : int or None
        Never fitted either; None: the last one; with a single member there is none.
    seed : int
        Draws the held-out prompts.

    Returns
    -------
    table : DataFrame
        method ("autoencoder" or "pca"), width, seed (-1 for PCA), layers, parameters, split ("fit", "prompts" or
        "member"), mse, observations, aic, bic.
    networks : Autoencoders
    """
    members, prompts = np.asarray(members), patterns.shape[1]
    left_out = round(held_out * prompts)
    if not 0 < left_out < prompts:
        raise InputError(f"autoencoder held_out: {held_out} of {prompts} prompts leaves nothing to score or to fit")
    order = np.random.default_rng(seed).permutation(prompts)
    unseen, seen = np.sort(order[:left_out]), np.sort(order[left_out:])
    if held_out_member is None:
        held_out_member = members.max()
    if held_out_member not in members:
        raise InputError(f"autoencoder held_out_member: {held_out_member} is none of {sorted(set(members.tolist()))}")
    known = members != held_out_member
    if not known.any():
        known[:] = True
    splits = {"fit": patterns[known][:, seen], "prompts": patterns[known][:, unseen]}
    if not known.all():
        splits["member"] = patterns[~known][:, unseen]
    splits = {name: (part.reshape(-1, part.shape[-1]), part.shape[0], part.shape[1]) for name, part in splits.items()}
    networks = fit(splits["fit"][0], settings, device)
    limit = min(splits["fit"][0].shape)
    pca = PCA(min(networks.widths[-1], limit), svd_solver="covariance_eigh").fit(splits["fit"][0])
    parts = [
        part
        for name, (rows, heads, observations) in splits.items()
        for part in (
            _network_rows(networks, name, rows, heads, observations),
            _pca_rows(pca, [w for w in networks.widths if w <= limit], name, rows, heads, observations),
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    rss = table["mse"] * table["observations"] * patterns.shape[-1]
    table["aic"], table["bic"] = information_criteria(rss, table["observations"], table["parameters"])
    return table, networks


def _network_rows(networks, split, rows, heads, observations):
    errors = networks.squared_errors(rows) / rows.size
    return pd.DataFrame(
        {
            "method": "autoencoder",
            "width": width,
            "seed": seed,
            "layers": 2 * len(encoder_sizes(networks.entries, width, networks.widest)) - 2,
            "parameters": parameter_count(networks.entries, width, networks.widest),
            "split": split,
            "mse": errors[i, j],
            "observations": observations,
        }
        for i, width in enumerate(networks.widths)
        for j, seed in enumerate(networks.seeds)
    )


def _pca_rows(pca, widths, split, rows, heads, observations):
    centred = rows - pca.mean_
    # squared length less that of the projection: one pass gives the error at every width
    kept = np.cumsum(np.square(centred @ pca.components_.T, dtype=np.float64).sum(0))
    whole = np.square(centred, dtype=np.float64).sum()
    return pd.DataFrame(
        {
            "method": "pca",
            "width": width,
            "seed": -1,
            "layers": 2,
            "parameters": (width + 1) * rows.shape[1],
            "split": split,
            "mse": max(whole - kept[width - 1], 0.0) / rows.size,
            "observations": observations,
        }
        for width in widths
    )


def best_width(table, criterion="aic", split=None):
    """The width with the lowest mean of `criterion` over seeds ("aic", "bic" or "mse"), among the networks.

    `split` is "fit" for a published table; None takes "prompts" where the table has it.
    """
    split = split or ("prompts" if (table["split"] == "prompts").any() else "fit")
    chosen = table[(table["method"] == "autoencoder") & (table["split"] == split)]
    return int(chosen.groupby("width")[criterion].mean().idxmin())


def entry_importance(network, rows, replacement="permutation", seed=0, entries=None):
    """How much worse the rows are recovered once a single entry of the input is made meaningless (Figure 1).

    Parameters
    ----------
    network : Autoencoder
    rows : array of float, (row, entry)
    replacement : {"permutation", "uniform"}
        "uniform" puts U(0, 1) in the entry's place, as published; "permutation" deals the entry's own values anew
        among the rows, which keeps to the distribution of the data.
    seed : int
    entries : array of int, optional
        Which to replace, one at a time; None: each.

    Returns
    -------
    array of float64, (entry,)
        Mean squared error against the true input, for each entry replaced.
    """
    if replacement not in ("permutation", "uniform"):
        raise InputError(f"replacement: {replacement!r} is neither permutation nor uniform")
    rng = np.random.default_rng(seed)
    rows = _tensor(rows)
    weight, bias = network.encoder[0]
    rest, (drawn, offset) = network.encoder[1:] + network.decoder[:-1], network.decoder[-1]
    # |h W + b - x|², of which only h changes from entry to entry: no pattern is drawn again
    products = drawn.double() @ drawn.double().T
    linear = torch.cat([2 * ((offset - part) @ drawn.T).double() for part in rows.split(CHUNK)])
    constant = sum((offset - part).square().sum(dtype=torch.float64).item() for part in rows.split(CHUNK))
    entries = range(rows.shape[1]) if entries is None else entries
    errors = np.zeros(len(entries))
    with torch.no_grad():
        first = rows @ weight + bias  # shared: replacing one entry adds a multiple of one row of the weight
        for place, entry in enumerate(track(entries, "importance of entries", "entries")):
            true = rows[:, entry].numpy()
            new = rng.random(len(rows), dtype=np.float32) if replacement == "uniform" else rng.permutation(true)
            change = torch.from_numpy(new - true)
            errors[place] = constant
            for start in range(0, len(rows), CHUNK):
                part = slice(start, start + CHUNK)
                h = torch.tanh(torch.addr(first[part], change[part], weight[entry]))
                for inner, bias_of_inner in rest:
                    h = torch.tanh(h @ inner + bias_of_inner)
                h = h.double()
                errors[place] += ((h @ products + linear[part]) * h).sum().item()
    return errors / rows.numel()


def decoded_grid(network, codes, points=5):
    """Patterns decoded from a grid of embedding values (Figure 1).

    The grid spans the 1st to 99th percentile of the embedding. A code of more than two values has no grid of its own:
    there the two axes are the first principal components of the codes, through their mean.

    Parameters
    ----------
    network : Autoencoder
    codes : array of float, (row, width)
        Embedded rows, which say where the grid lies.
    points : int
        Values along each axis.

    Returns
    -------
    axes : array of float, (2, points)
        Embedding values, or coordinates along the components.
    patterns : array of float32, (points, points, entry)
        First index along the first axis.
    """
    if network.width == 1:
        raise InputError("decoded grid: a width of 1 has no second axis")
    if network.width == 2:
        directions, centre = np.eye(2), np.zeros(2)
    else:
        pca = PCA(2).fit(codes)
        directions, centre = pca.components_, pca.mean_
    ends = np.percentile((codes - centre) @ directions.T, [1, 99], axis=0)  # (end, axis)
    axes = np.linspace(*ends, points).T
    first, second = np.meshgrid(*axes, indexing="ij")
    grid = first[..., None] * directions[0] + second[..., None] * directions[1] + centre
    return axes, network.decode(grid.reshape(-1, network.width)).reshape(points, points, -1)


def embed_heads(network, patterns):
    """Embedding values of every head: (head, prompt, entry) to (head, prompt, width).

    Flattened over prompts they are the points of Figures 2, 3 and 5: 2 x 1,024 values a head as published.
    """
    codes = network.encode(patterns.reshape(-1, patterns.shape[-1]))
    return codes.reshape(*patterns.shape[:2], network.width)
