"""The matrices of the heads of pretrained models, in one form whatever their architecture.

They are measured: each layer is shown every direction of the residual stream by itself, in a window of one token, with
its norms reduced to their scales; the queries, keys and values that its attention is then given are the rows of W_Q,
W_K and W_V. However a type names, fuses, groups or orders its projections, what its attention is given is what counts.
Directions at random tell whether the maps are linear; where they are not there is one line that says so. One token
stands at position 0, where rotary positions rotate nothing: QK is that of offset 0.
"""

from contextlib import contextmanager, suppress
from typing import NamedTuple

import torch
import transformers

from headatlas.models.pretrained.checks import first_line
from headatlas.models.pretrained.linear import NotLinearError, linearised, matrix, probes, refused, scale
from headatlas.models.pretrained.watching import AllLayersSeen, Capture

_ROWS = 128  # windows of one token that are shown at once


class _Call(NamedTuple):
    """A module, and what it was given."""

    module: torch.nn.Module
    arguments: tuple
    keywords: dict


class _Layer(NamedTuple):
    """What one layer's attention is embedded in."""

    block: _Call
    attentions: int  # of the block's calls of attention, up to this one
    alone: bool  # the block is the attention itself: what follows it stands elsewhere
    output: tuple | None  # the module that reads the heads' outputs, and the shape of what it reads
    norm: tuple | None  # the norm that its output goes through before anything else, and that output's shape


class HeadWeights:
    """The matrices of the heads of a model, layer by layer as they are asked for.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With its language-model head; it must keep its weights while this is used.
    watching : callable
        From keywords of `watching.watched` to its context, for this model.
    unembedding : Unembedding
        Of the model.
    token : int
        A token that is no padding.
    """

    def __init__(self, model, watching, unembedding, token):
        self._model, self._watching, self._unembedding = model, watching, unembedding
        self._tokens = torch.full((_ROWS, 1), token, device=model.device)
        self._kind = model.config.get_text_config().model_type
        self._layers, self._outer = None, None

    @torch.no_grad()
    def layer(self, layer):
        """The matrices of one layer's heads.

        Parameters
        ----------
        layer : int

        Returns
        -------
        dict of str to float32 array
            Names, shapes and what is folded in as `families.load_family` says.

        Raises
        ------
        InputError
            If a path is not linear.
        """
        try:
            if self._layers is None:
                self._layers = self._recorded()
                outer = {"W_E": self._embedding(), "W_U": self._readout()}
                self._outer = {name: found.float().cpu().contiguous().numpy() for name, found in outer.items()}
            found = self._read(self._layers[layer]) | {"W_O": self._written(self._layers[layer])}
        except NotLinearError as error:
            raise refused(self._kind, error) from None
        except Exception as error:  # whatever the code of 200 types may raise
            raise refused(self._kind, f"a layer cannot be run by itself ({first_line(error)})") from None
        return self._outer | {name: value.float().cpu().contiguous().numpy() for name, value in found.items()}

    def _recorded(self):
        """What surrounds the attention of each layer, from one pass."""
        stack, layers, waiting = [], [], []
        names = {module: name for name, module in self._model.named_modules()}
        listed = {
            part for module in self._model.modules() if isinstance(module, torch.nn.ModuleList) for part in module
        }

        def enter(module, arguments, keywords):
            stack.append([_without_cache(module, arguments, keywords), 0])
            inputs = arguments[0] if arguments else None
            if waiting and isinstance(inputs, torch.Tensor) and not list(module.children()):
                self._follow(waiting, layers, module, inputs)

        def leave(module, arguments, keywords, output):
            stack.pop()
            if waiting and waiting[-1].get("module") is module and "output" not in waiting[-1]:
                waiting[-1]["output"] = output

        def visit(pattern, outputs):
            calls = [entry for entry in stack if entry[0].module in listed]
            entry = calls[0] if calls else stack[-1]
            entry[1] += 1
            layers.append(_Layer(entry[0], entry[1], entry is stack[-1], None, None))
            waiting[:] = [{"mixed": outputs.flatten(1)}]  # (row, head * d_value)
            self._shape = outputs.shape[2:]
            return outputs

        handles = [module.register_forward_pre_hook(enter, with_kwargs=True) for module in names]
        handles += [module.register_forward_hook(leave, with_kwargs=True) for module in names]
        try:
            with self._watching(visit=visit):
                self._model.base_model(self._tokens, attention_mask=torch.ones_like(self._tokens))
        finally:
            for handle in handles:
                handle.remove()
        return layers

    @staticmethod
    def _follow(waiting, layers, module, inputs):
        """Whether a module reads the heads' outputs, or normalises what such a module wrote."""
        state = waiting[-1]
        mixed = state["mixed"]
        if "module" not in state:
            flat = inputs.reshape(len(inputs), -1)
            width = mixed.shape[1]
            if getattr(module, "weight", None) is None or module.weight.ndim < 2 or len(flat) != len(mixed):
                return
            if flat.shape[1] >= width and torch.equal(flat[:, :width], mixed):
                state["module"] = module
                layers[-1] = layers[-1]._replace(output=(module, inputs.shape))
        elif "output" in state:
            output = state["output"]
            if "Norm" in type(module).__name__ and inputs.data_ptr() == output.data_ptr():
                layers[-1] = layers[-1]._replace(norm=(module, inputs.shape))
                waiting.clear()

    def _read(self, found):
        """W_Q, W_K and W_V of a layer."""
        block, inputs = found.block, _hidden(found.block)
        rows, answers = probes(inputs[0].numel(), inputs), {"queries": [], "keys": [], "values": []}

        def keep(seen):
            return seen.queries[:, :, 0], seen.keys[:, :, 0], seen.values[:, :, 0]  # (row, head, d_head)

        with linearised(block.module):
            for part in _chunks(rows, inputs.shape):
                capture = Capture(stop_after=found.attentions, keep=keep)
                with suppress(AllLayersSeen), self._watching(capture=capture):
                    _call(block, part)
                for name, answer in zip(answers, capture.layers[-1], strict=True):
                    answers[name].append(answer)
        whole = {name: torch.cat(parts)[: len(rows)] for name, parts in answers.items()}
        queries, keys, values = (matrix(answer, name).transpose(0, 1) for name, answer in whole.items())
        return {"W_Q": queries, "W_K": keys, "W_V": values}

    def _written(self, found):
        """W_O of a layer, (head, d_value, d_model)."""
        if found.output is None:
            raise NotLinearError("what its heads give out does not go straight into a linear map (a gate, or a norm)")
        module, shape = found.output
        heads, d_value = self._shape
        inputs = torch.zeros(_ROWS, shape[1:].numel(), device=self._model.device)
        rows = probes(heads * d_value, inputs)
        answers = []
        for part in _chunks(rows, (_ROWS, rows.shape[1])):
            inputs[:, : rows.shape[1]] = part
            answers.append(module(inputs.view(shape)).reshape(_ROWS, -1))  # (row, d_model)
        written = matrix(torch.cat(answers)[: len(rows)], "what its heads write")
        if written.shape[1] != _hidden(found.block)[0].numel():
            raise NotLinearError("what its heads write is not as wide as the residual stream")
        if found.norm is not None:
            norm, shape = found.norm
            factor = scale(norm, shape[1:], written)
            written = written if factor is None else written * factor.reshape(1, -1)
        written = written * getattr(self._model.config.get_text_config(), "residual_multiplier", 1.0)
        return written.unflatten(0, (heads, d_value))

    def _embedding(self):
        """W_E: what a token puts into the residual stream, beside its position."""
        table, stream = self._model.get_input_embeddings(), []
        vocabulary = torch.arange(self._model.config.get_text_config().vocab_size, device=self._model.device)
        embedded = torch.cat([table(part[None])[0] for part in vocabulary.split(1 << 14)])  # (vocabulary, width)
        block = self._layers[0].block

        def read(module, arguments, keywords):
            stream.append(_hidden(_Call(module, arguments, keywords)))
            raise AllLayersSeen

        rows = probes(embedded.shape[1], embedded)
        with linearised(self._model), _before(block.module, read):
            for part in _chunks(rows, (_ROWS, 1, rows.shape[1])):
                with suppress(AllLayersSeen), _instead(table, part):
                    self._model.base_model(self._tokens, attention_mask=torch.ones_like(self._tokens))
        answers = torch.cat(stream).flatten(1)[: len(rows)]
        return _applied(embedded, matrix(answers, "embeddings"))

    def _readout(self):
        """W_U: from the residual stream behind the last layer to logits."""
        last, stream = self._layers[-1], _hidden(self._layers[-1].block)
        outer = self._model.base_model if last.alone else last.block.module
        calls = 1 if last.alone else len({id(one.block) for one in self._layers if one.block.module is outer})
        rows, read = probes(stream[0].numel(), stream), []
        with linearised(self._model, activations=True):
            for part in _chunks(rows, stream.shape):
                with _instead(outer, part, calls):
                    read.append(self._unembedding.inputs(self._tokens, torch.ones_like(self._tokens)))
        answers = torch.cat(read).flatten(1)[: len(rows)]
        table = self._unembedding.readout.table  # (vocabulary, width)
        return _applied(table, matrix(answers, "logits").T).T


def _without_cache(module, arguments, keywords):
    """A call that can be made again: with a cache, its keys would be those of both."""
    arguments = tuple(None if isinstance(one, transformers.Cache) else one for one in arguments)
    return _Call(
        module, arguments, {k: None if isinstance(one, transformers.Cache) else one for k, one in keywords.items()}
    )


def _hidden(call):
    """The hidden states that a module was given: its first argument."""
    return call.arguments[0] if call.arguments else call.keywords["hidden_states"]


def _call(call, hidden):
    """A module called as it was, with other hidden states."""
    if call.arguments:
        call.module(hidden, *call.arguments[1:], **call.keywords)
    else:
        call.module(**call.keywords | {"hidden_states": hidden})


def _chunks(rows, shape):
    """Rows (row, width) in blocks of a shape (_ROWS, ...), the last filled up with zeros."""
    for part in rows.split(_ROWS):
        filled = part.new_zeros(_ROWS, rows.shape[1])
        filled[: len(part)] = part
        yield filled.view(shape)


@contextmanager
def _before(module, read):
    """While this lasts, `read` is given a module and its arguments before it runs."""
    handle = module.register_forward_pre_hook(read, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _instead(module, hidden, calls=1):
    """While this lasts, other hidden states take the place of what a module's last call gives."""
    left = calls

    def replace(module, arguments, output):
        nonlocal left
        left -= 1
        if left:
            return output
        if isinstance(output, torch.Tensor):
            return hidden
        if isinstance(output, tuple | list):
            return (hidden, *output[1:])
        output[next(iter(output))] = hidden  # what a model gives: hidden states come first
        return output

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _applied(table, found):
    """Rows of a table (row, width) under a matrix (width, d_model), which often only scales each direction."""
    if found.shape[0] == found.shape[1] and not (found - found.diag().diag()).any():
        return table * found.diag()
    return table @ found
