"""Forward passes in which the outputs of attention heads are replaced: all heads of a layer at once.

The heads folded into the batch, a pass starts again from the cached residual stream at the layer of
the replaced heads, so L layers of H heads cost about half of L x H forward passes; in the last
layer nothing but the positions that are read is computed. A model of `transformers` that cannot be entered
at a layer (`pretrained.restarting` finds out) costs a pass from the start for each layer.
"""

from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from typing import NamedTuple

import torch
from torch.nn import functional

from headatlas.models import final_norm, transformer
from headatlas.models.cross_entropy import CrossEntropy
from headatlas.models.memory_limits import AT_HAND, LOGITS


class Trace(NamedTuple):
    """An undisturbed forward pass, and what is needed to disturb it."""

    tokens: torch.Tensor  # (prompt, position)
    at: torch.Tensor | None  # (prompt,), the position read in each prompt; None for all
    hidden: torch.Tensor  # (prompt, read position, d_model), what the unembedding reads
    outputs: list  # by layer, (prompt, position, head, d_head); with `at`, the last layer's may be of those read only
    streams: list | None = None  # by layer, (prompt, position, d_model): behind the heads of a toy model, else before


class Readout(NamedTuple):
    """From what the unembedding reads to logits and losses.

    Attributes
    ----------
    table : Tensor of shape (vocabulary, d_model)
    bias : Tensor of shape (vocabulary,)
    softcap : float or None
        Logits are squeezed into (-softcap, softcap) by a tanh (Gemma 2).
    """

    table: torch.Tensor
    bias: torch.Tensor
    softcap: float | None = None

    def memory(self, rows):
        """Memory for the logits of that many rows, to be given to `logits` again and again."""
        return self.table.new_empty(rows * self._stride())

    def logits(self, hidden, memory=None):
        """Logits (..., vocabulary) of hidden states (..., d_model).

        With `memory`, they are written into it, at twice the speed for a large vocabulary: fresh memory costs
        as much as the product. They are then good until its next use.
        """
        rows = hidden.reshape(-1, hidden.shape[-1])
        memory = self.memory(len(rows)) if memory is None else memory
        found = memory[: len(rows) * self._stride()].view(len(rows), -1)[:, : len(self.table)]
        torch.addmm(self.bias, rows, self.table.T, out=found)
        if self.softcap is not None:
            found.div_(self.softcap).tanh_().mul_(self.softcap)
        return found.unflatten(0, hidden.shape[:-1])

    def _stride(self):
        return -(-len(self.table) // 16) * 16  # rows that start at odd addresses make the product slower

    def above_mean(self, hidden, targets):
        """Logits of targets (row,) less the mean over the vocabulary, before any softcap: linear in hidden states."""
        rows = self.table[targets] - self.table.mean(0)
        return (hidden * rows).sum(-1) + self.bias[targets] - self.bias.mean()

    def losses(self, hidden, targets):
        """Cross-entropy in nats of targets (row,) under hidden states (row, d_model), blocks of rows at a time."""
        if self.softcap is None:
            return CrossEntropy()(hidden[None], self.table[None], self.bias[None], targets[None]).losses[0]
        height = max(1, LOGITS // len(self.table))
        pairs, memory = zip(hidden.split(height), targets.split(height), strict=True), self.memory(height)
        return torch.cat([functional.cross_entropy(self.logits(x, memory), t, reduction="none") for x, t in pairs])


def open_member(family, member):
    """One member of a family, ready for its heads to be replaced.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
        What `families.load_family` opens. A pretrained family holds one member's weights at a time, so
        another member must not be run before this one is done with (its readout stays).
    member : int

    Returns
    -------
    ToyInterventions or PretrainedInterventions
        With the attributes `layers`, `heads`, `readout` and `at_once`, and the methods `run`, `replaced`, `shifted`,
        `slopes`, `writers` and `prompt_bytes` of `ToyInterventions`.
    """
    if hasattr(family, "architecture"):
        return ToyInterventions(family, member)
    return PretrainedInterventions(family, member)


class ToyInterventions:
    """One member of a toy family; parameters as in `open_member`."""

    at_once = None  # bytes of passes that are quicker by themselves than among more

    def __init__(self, family, member):
        self._family, self._weights, self._a = family, family.weights(member), family.architecture
        of_norm = ("norm_final.weight", "norm_final.bias")  # without which what comes out is the stream
        self._bare = {name: value for name, value in self._weights.items() if name not in of_norm}
        self.layers, self.heads = family.layers, family.heads
        table = transformer.unembedding_matrix(self._weights, self._a)[0].T.contiguous()
        self.readout = Readout(table, self._weights["unembedding.bias"][0])

    def prompt_bytes(self, size, count):
        """About how much memory a prompt of `size` tokens takes while `count` of its heads are replaced."""
        a = self._a
        last = 4 * a.d_model + (0 if a.activation == "none" else 3 * a.d_mlp)
        inner = last + a.heads * (4 * a.d_head + 2 * size)
        return 4 * size * (count * (last if a.layers == 1 else inner) + a.layers * inner)

    @torch.no_grad()
    def run(self, tokens, at=None):
        """A forward pass in which nothing is replaced.

        Parameters
        ----------
        tokens : integer array of shape (prompt, position)
        at : integer array of shape (prompt,), optional
            The one position of each prompt whose hidden state is wanted.

        Returns
        -------
        Trace
        """
        tokens = self._family.inputs(tokens)
        at = None if at is None else torch.as_tensor(at, device=tokens.device)
        x = transformer._embedded(self._weights, self._a, tokens[None])  # (1, prompt, position, d_model)
        outputs, streams = [], []
        for layer in range(self.layers):
            x, mixed, block = self._attended(x, layer, tokens, at)
            outputs.append(mixed[0].transpose(1, 2))  # (prompt, position, head, d_head)
            streams.append(x[0])
            x = transformer._after_mlp(x, block, self._a)
        return Trace(tokens, at, transformer._norm(x, self._weights, "norm_final")[0], outputs, streams)

    @torch.no_grad()
    def replaced(self, trace, layer, change):
        """Hidden states of passes in which something was added to the output of one head each.

        Parameters
        ----------
        trace : Trace
        layer : int
        change : Tensor of shape (head, prompt, position, d_head)
            Pass i changes head i. Positions are those of `trace.outputs[layer]`.

        Returns
        -------
        Tensor of shape (head, prompt, read position, d_model)
        """
        passes, prompts, positions, _ = change.shape
        written = torch.bmm(change.reshape(passes, prompts * positions, -1), self.writers(layer))
        return self._after(trace, layer, written.view(passes, prompts, positions, -1).add_(trace.streams[layer]))

    @torch.no_grad()
    def shifted(self, trace, layer, change):
        """Hidden states of passes in which something was added to what a layer's heads write together.

        Parameters
        ----------
        trace : Trace
        layer : int
        change : Tensor of shape (pass, prompt, position, d_model)
            Positions are those of `trace.outputs[layer]`.

        Returns
        -------
        Tensor of shape (pass, prompt, read position, d_model)
        """
        return self._after(trace, layer, change + trace.streams[layer])

    def writers(self, layer):
        """The output matrices W_O of a layer's heads, (head, d_head, d_model): a head writes its output times these."""
        return transformer._block(self._weights, self._a, layer)["attention.output.weight"][0]

    def _after(self, trace, layer, x):
        """Hidden states that follow from streams (pass, prompt, position, d_model) behind a layer's heads."""
        passes, prompts = x.shape[:2]
        block = transformer._block(self._weights, self._a, layer)
        x = transformer._after_mlp(x.flatten(0, 1)[None], block, self._a)
        tokens = trace.tokens.repeat(passes, 1) if layer + 1 < self.layers else None
        at = None if trace.at is None else trace.at.repeat(passes)
        for later in range(layer + 1, self.layers):
            x, _, block = self._attended(x, later, tokens, at)
            x = transformer._after_mlp(x, block, self._a)
        return transformer._norm(x, self._weights, "norm_final")[0].unflatten(0, (passes, prompts))

    @torch.no_grad()
    def norm_sizes(self, tokens):
        """What the norm before the unembedding divides by in an undisturbed pass over tokens (prompt, position), for
        `visited`: (prompt, position, 1), ones where there is no such norm; None where it is not known what it does."""
        tokens = self._family.inputs(tokens)
        x = transformer.hidden(self._bare, self._a, tokens[None], self._family.pad)[0]
        return final_norm.size(x, centred=True) if self._a.layer_norm else torch.ones_like(x[..., :1])

    @torch.no_grad()
    def visited(self, tokens, visit, at=None, sizes=None):
        """A forward pass in which the outputs of any heads, in all layers, may be replaced on the way.

        Parameters
        ----------
        tokens, at
            As for `run`.
        visit : callable
            Given every layer's number, pattern (prompt, head, query, key) and head outputs (prompt, position, head,
            d_head) in turn; it returns the outputs that the layer goes on with.
        sizes : Tensor of shape (prompt, position, 1), optional
            What the norm before the unembedding divides by, as `norm_sizes` gives; by the stream's own size when not
            given.

        Returns
        -------
        Tensor of shape (prompt, read position, d_model)
            What the readout reads.
        """

        def turned(layer, pattern, mixed):
            return visit(layer, pattern[0], mixed[0].transpose(1, 2)).transpose(1, 2)[None]

        tokens = self._family.inputs(tokens)
        x = transformer.hidden(self._bare, self._a, tokens[None], self._family.pad, visit=turned)
        x = final_norm.of_toy(self._weights, x, sizes)
        return _read(x, None if at is None else torch.as_tensor(at, device=x.device))

    def slopes(self, tokens, loss):
        """How a loss follows the outputs of all heads: one pass forwards and one backwards.

        Parameters
        ----------
        tokens : integer array of shape (prompt, position)
        loss : callable
            From what the readout reads, (prompt, position, d_model), to the loss to be derived, one number.

        Returns
        -------
        outputs, slopes : list of Tensor of shape (prompt, position, head, d_head), one for each layer
            What heads gave out, and the loss's derivatives by it.
        """
        outputs, keep = _differentiable()
        tokens = self._family.inputs(tokens)

        def visit(layer, pattern, mixed):
            return keep(mixed[0].transpose(1, 2)).transpose(1, 2)[None]

        with torch.enable_grad():
            hidden = transformer.hidden(self._weights, self._a, tokens[None], self._family.pad, visit=visit)[0]
            return _derived(loss(hidden), outputs)

    def _attended(self, x, layer, tokens, at):
        """The stream after a layer's heads, their outputs, and the layer's weights; the last layer's at `at` only."""
        block = transformer._block(self._weights, self._a, layer)
        normed = transformer._norm(x, block, "norm_attention")
        barrier = transformer._barrier(self._a, tokens[None], self._family.pad)
        asking = normed
        if at is not None and layer + 1 == self.layers:
            rows = torch.arange(len(at), device=at.device)
            asking, x = normed[:, rows, at][:, :, None], x[:, rows, at][:, :, None]
            if barrier is not None:
                of_asking = barrier[at] if barrier.ndim == 2 else barrier[0, rows, 0, at]  # (prompt, key)
                barrier = of_asking[None, :, None, None]
        queries = transformer._heads(asking, block, "query")
        keys, values = transformer._heads(normed, block, "key"), transformer._heads(normed, block, "value")
        mixed = transformer._pattern(queries, keys, barrier) @ values  # (1, prompt, head, position, d_head)
        return transformer._after_attention(x, mixed, block, self._a), mixed, block


class PretrainedInterventions:
    """One member of a pretrained family; parameters as in `open_member`, methods as in `ToyInterventions`."""

    def __init__(self, family, member):
        self._family, self._member, self._writers = family, member, {}
        self.layers, self.heads = family.layers, family.heads
        self.readout = family.unembedding(member).readout
        self._restart = family.restart(member)
        self.at_once = None if family.device.type == "cuda" else AT_HAND

    def prompt_bytes(self, size, count):
        """About how much memory a prompt of `size` tokens takes while `count` of its heads are replaced."""
        return self._family.trace_bytes(size) + (count + 1) * self._family.pass_bytes(size)

    @torch.no_grad()
    def run(self, tokens, at=None):
        """A forward pass in which nothing is replaced, as `ToyInterventions.run`."""
        tokens = torch.as_tensor(tokens, device=self._family.device)
        ids, real = self._family.inputs(tokens.cpu())
        at = None if at is None else torch.as_tensor(at, device=self._family.device)
        outputs = []

        def keep(mixed):
            outputs.append(mixed)
            return mixed

        with self._restart.recording() if self._restart else nullcontext([]) as streams:
            hidden = self._hidden(ids, real, self._family.editing(keep))
        if at is not None and self._restart:
            outputs[-1], streams[-1] = _read(outputs[-1], at), _read(streams[-1], at)
        return Trace(tokens, at, _read(hidden, at), outputs, streams)

    @torch.no_grad()
    def replaced(self, trace, layer, change):
        """Hidden states of passes in which one head's output was changed each, as `ToyInterventions.replaced`."""
        outputs = trace.outputs[layer]  # (prompt, position, head, d_head)
        edited = outputs.expand(len(change), *outputs.shape).clone()  # (pass, prompt, position, head, d_head)
        each = torch.arange(len(change), device=edited.device)
        edited[each, :, :, each] += change
        edited = edited.flatten(0, 1)
        return self._again(trace, len(change), layer, lambda seen, mixed: edited if seen == layer else mixed)

    @torch.no_grad()
    def shifted(self, trace, layer, change):
        """Hidden states of passes in which what a layer's heads write was changed, as `ToyInterventions.shifted`."""
        written = change.flatten(0, 1)  # (pass * prompt, position, d_model)
        with self._projected(layer, lambda output: output + written) as edit:
            return self._again(trace, len(change), layer, edit)

    def writers(self, layer):
        """The output matrices of a layer's heads, as `ToyInterventions.writers`."""
        if layer not in self._writers:
            found = []
            tokens = torch.zeros(1, 1, dtype=torch.long, device=self._family.device)
            with self._projected(layer, lambda output: output, found.append) as edit:
                self._from_the_start(tokens, 1, edit)
            size = self.heads * self._family.d_value
            with torch.no_grad():
                written = found[0](torch.cat([tokens.new_zeros(1, size), torch.eye(size, device=tokens.device)]))
            self._writers[layer] = (written[1:] - written[:1]).unflatten(0, (self.heads, -1))  # less the bias
        return self._writers[layer]

    @contextmanager
    def _projected(self, layer, change, show=None):
        """While this lasts, `change` is applied to the output of a layer's projection from heads to the stream.

        That is the first module without parts and with weights that is called once the layer's heads are done. Yields
        the function that must see each layer's head outputs.
        """
        waiting = False

        def edit(seen, mixed):
            nonlocal waiting
            waiting = seen == layer
            return mixed

        def after(module, _, output):
            nonlocal waiting
            if not waiting or module._modules or not module._parameters:
                return None
            waiting = False
            if show is not None:
                show(module)
            return change(output)

        hook = torch.nn.modules.module.register_module_forward_hook(after)
        try:
            yield edit
        finally:
            hook.remove()

    def _again(self, trace, passes, layer, edit):
        """Hidden states (pass, prompt, read position, d_model) with `edit(layer, outputs)` from a layer on."""
        at = None if trace.at is None else trace.at.repeat(passes)
        if self._restart is None:
            return _read(self._from_the_start(trace.tokens, passes, edit), at).unflatten(0, (passes, -1))
        ids, real = self._family.inputs(trace.tokens.cpu())
        ids, real = ids.repeat(passes, 1), real.repeat(passes, 1)
        stream, outputs, last = trace.streams[layer].repeat(passes, 1, 1), trace.outputs[layer], self.layers - 1

        def heads():
            return edit(layer, outputs.repeat(passes, 1, 1, 1))

        if at is not None and layer < last:  # of the last layer, nothing is computed behind its heads but what is read
            stream, mixed = self._until_the_last(ids, real, layer, stream, heads, edit)
            layer, stream = last, _read(stream, at)

            def heads():
                return _read(mixed, at)

        if at is not None:
            ids, real = _read(ids, at), torch.ones_like(at)[:, None]
        numbers = count(layer + 1)
        with self._restart.at(layer, stream, heads):
            hidden = self._hidden(ids, real, self._family.editing(lambda mixed: edit(next(numbers), mixed)))
        return hidden.unflatten(0, (passes, -1))

    def _until_the_last(self, ids, real, layer, stream, heads, edit):
        """What enters the last layer, and the outputs of its heads, in passes begun at the heads of one before."""
        numbers, found = count(layer + 1), []

        def show(mixed):
            number = next(numbers)
            mixed = edit(number, mixed)
            if number == self.layers - 1:
                found.append(mixed)
                raise _AllHeadsSeen
            return mixed

        begun = self._restart.at(layer, stream, heads)
        with self._restart.recording([self.layers - 1]) as streams, suppress(_AllHeadsSeen), begun:
            self._hidden(ids, real, self._family.editing(show))
        return streams[0], found[0]

    def _from_the_start(self, tokens, passes, edit):
        """Hidden states (pass * prompt, position, d_model) of whole passes, `edit(layer, outputs)` in every layer."""
        numbers = count()
        ids, real = self._family.inputs(tokens.cpu())
        watching = self._family.editing(lambda mixed: edit(next(numbers), mixed))
        return self._hidden(ids.repeat(passes, 1), real.repeat(passes, 1), watching)

    @torch.no_grad()
    def norm_sizes(self, tokens):
        """What the norm before the unembedding divides by, as `ToyInterventions.norm_sizes`."""
        self._norm = final_norm.FinalNorm()
        with self._norm.looking():
            hidden = self._hidden(*self._family.inputs(tokens))
        self._norm.settle(hidden)
        return self._norm.sizes

    @torch.no_grad()
    def visited(self, tokens, visit, at=None, sizes=None):
        """A pass in which the outputs of any heads may be replaced on the way, as `ToyInterventions.visited`."""
        layers = count()
        ids, real = self._family.inputs(tokens)
        holding = nullcontext() if sizes is None else self._norm.holding(sizes)
        with holding, self._family.visiting(lambda pattern, mixed: visit(next(layers), pattern, mixed)):
            hidden = self._hidden(ids, real)
        return _read(hidden, None if at is None else torch.as_tensor(at, device=hidden.device))

    def slopes(self, tokens, loss):
        """How a loss follows the outputs of all heads, as `ToyInterventions.slopes`."""
        outputs, keep = _differentiable()
        ids, real = self._family.inputs(tokens)

        def run():
            with torch.enable_grad():
                self._family.model(self._member)(ids, attention_mask=real)

        with self._family.editing(keep):
            hidden = self._family.unembedding(self._member).reached(run)
        with torch.enable_grad():
            return _derived(loss(hidden), outputs)

    def _hidden(self, ids, real, watching=None):
        """What the readout reads, (batch, position, d_model)."""
        return self._family.unembedding(self._member).inputs(ids, real, watching)


def _differentiable():
    """A list, and what appends every layer's head outputs to it so that a loss can be derived by them."""
    outputs = []

    def keep(mixed):
        outputs.append(mixed if mixed.requires_grad else mixed.detach().requires_grad_())
        return outputs[-1]

    return outputs, keep


def _derived(loss, outputs):
    return [mixed.detach() for mixed in outputs], list(torch.autograd.grad(loss, outputs))


class _AllHeadsSeen(Exception):
    """Ends a pass at the heads of the last layer."""


def _read(hidden, at):
    return hidden if at is None else hidden[torch.arange(len(at), device=at.device), at][:, None]
