"""Where a model turns hidden states into logits: what a readout needs is found from what the model does."""

from contextlib import nullcontext

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headatlas.base.errors import InputError
from headatlas.models.interventions import Readout

_SIZE = 8  # tokens of the sequence that is shown
_PRODUCTS = {functional.linear, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__}


class _Reached(Exception):
    """Ends a forward pass before its logits, which the caller computes where it needs them."""


class _Products(TorchFunctionMode):
    """Notes products with a table; with `stop`, ends the pass at that one of those with a table of `rows` rows."""

    def __init__(self, rows=None, stop=None):
        super().__init__()
        self.found, self._rows, self._stop = [], rows, stop

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _PRODUCTS and len(args) > 1 and args[1].ndim == 2:
            table = args[1] if function is functional.linear else args[1].T
            if self._rows in (None, len(table)):
                self.found.append((args[0], table))
                if len(self.found) == self._stop:
                    raise _Reached
        return function(*args, **(kwargs or {}))


class Unembedding:
    """The last product of a model, and what it does to it: a factor, a bias, a softcap.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With its language-model head.

    Attributes
    ----------
    readout : interventions.Readout
        From what the last product reads to the model's own logits.

    Raises
    ------
    InputError
        If the logits are not that.
    """

    @torch.no_grad()
    def __init__(self, model):
        config = model.config.get_text_config()
        self._model = model
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(config.vocab_size, (1, _SIZE), generator=generator).to(model.device)
        with _Products() as products:
            logits = model(tokens, attention_mask=torch.ones_like(tokens)).logits
        last = [pair for pair in products.found if len(pair[1]) == logits.shape[-1]]
        self._rows, self._stop = logits.shape[-1], len(last)
        if not last or last[-1][0].shape[:-1] != logits.shape[:-1]:
            raise _unreadable(config.model_type)
        hidden, table = last[-1]
        softcap = getattr(config, "final_logit_softcapping", None)
        factor, bias = _affine(hidden @ table.T, logits if softcap is None else _uncapped(logits, softcap))
        self.readout = Readout((table * factor).detach().clone(), bias, softcap)
        found = self.readout.logits(hidden)
        if not torch.allclose(found, logits, atol=1e-3, rtol=1e-3):
            raise _unreadable(config.model_type)
        self._module = self._module_that_reads(table)

    def inputs(self, ids, real, watching=None):
        """What the last product reads, (batch, position, width), in a pass that ends there.

        Parameters
        ----------
        ids, real : integer tensor of shape (batch, position)
        watching : context manager, optional
            Around the pass.
        """
        with watching or nullcontext():
            return self.reached(lambda: self._model(ids, attention_mask=real))

    @torch.no_grad()
    def reached(self, run):
        """What the last product reads while `run` runs the model, which ends there."""
        caught = []

        def catch(_, inputs):
            caught.append(inputs[0])
            raise _Reached

        products = None if self._module is not None else _Products(self._rows, self._stop)
        handle = None if self._module is None else self._module.register_forward_pre_hook(catch)
        try:
            with products or nullcontext():
                run()
        except _Reached:
            pass
        finally:
            if handle is not None:
                handle.remove()
        return caught[0] if products is None else products.found[-1][0]

    def _module_that_reads(self, table):
        """The module of the last product, where it has one: hooks cost less than watching every operation."""
        module = self._model.get_output_embeddings()
        weight = getattr(module, "weight", None)
        if not isinstance(module, torch.nn.Linear) or weight.data_ptr() != table.data_ptr():
            return None
        return module


def _unreadable(model_type):
    return InputError(
        f"model type {model_type!r}: its logits are not one product with a table of tokens, scaled and shifted, "
        "so its heads cannot be knocked out; leave out the studies that ablate heads for this model"
    )


def _uncapped(logits, softcap):
    return torch.atanh((logits / softcap).clamp(-0.999999, 0.999999)) * softcap


def _affine(products, logits):
    """The factor and the bias (vocabulary,) that lead from products (batch, position, vocabulary) to logits."""
    one, other = (part - part.mean(1, keepdim=True) for part in (products.double(), logits.double()))
    factor = float((one * other).sum() / one.square().sum())
    factor = 1.0 if abs(factor - 1) < 1e-5 else factor
    bias = (logits - factor * products).mean((0, 1))
    return factor, torch.where(bias.abs() < 1e-5 * logits.abs().max(), torch.zeros_like(bias), bias).float()
