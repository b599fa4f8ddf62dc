"""Adam and AdamW, without the compiler that torch's own optimiser objects import: two seconds of every job."""

import torch
from torch.optim.adam import adam

MEANS = "exp_avg", "exp_avg_sq"  # what torch calls the running means that are kept of each weight's gradient


class Adam:
    """Adam (Kingma & Ba 2015), to the same bits as `torch.optim.Adam` and `AdamW` with `fused=True`.

    Parameters
    ----------
    leaves : iterable of Tensor
        All on one device; those without a gradient are left as they are.
    learning_rate : float
    betas : tuple of float
    weight_decay : float
        Decoupled (Loshchilov & Hutter 2019).

    Attributes
    ----------
    learning_rate : float
        Of the next step.
    state : dict from Tensor to dict from str to Tensor
        Of each leaf its `step` and the running means, `MEANS`.
    """

    def __init__(self, leaves, learning_rate, betas=(0.9, 0.999), weight_decay=0.0):
        self.learning_rate = learning_rate
        self._settings = {"beta1": betas[0], "beta2": betas[1], "eps": 1e-8, "weight_decay": weight_decay}
        self.state = {}
        for leaf in leaves:
            self.state[leaf] = {"step": torch.zeros((), dtype=torch.float32, device=leaf.device)}
            self.state[leaf] |= {mean: torch.zeros_like(leaf).detach() for mean in MEANS}

    def zero_grad(self):
        """Forget all gradients."""
        for leaf in self.state:
            leaf.grad = None

    @torch.no_grad()
    def step(self):
        """Move every leaf by its gradient."""
        learning = [leaf for leaf in self.state if leaf.grad is not None]
        states = [[self.state[leaf][name] for leaf in learning] for name in (*MEANS, "step")]
        gradients = [leaf.grad for leaf in learning]
        adam(
            learning,
            gradients,
            *states[:2],
            [],
            states[2],
            fused=True,
            amsgrad=False,
            maximize=False,
            decoupled_weight_decay=True,
            lr=self.learning_rate,
            **self._settings,
        )
