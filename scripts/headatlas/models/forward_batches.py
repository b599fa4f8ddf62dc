"""How many windows a forward pass takes at once."""

from headatlas.models.memory_limits import FORWARD

MEMORY = FORWARD
# Bytes of a forward pass that a processor keeps at hand: larger batches take longer on a CPU, unless the weights of a
# layer are larger still, which every batch reads anew.
_CACHED = 16 << 20


def batches(family, windows, memory=MEMORY):
    """Slices of windows that one forward pass takes at once.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
        What `families.load_family` opens.
    windows : integer array of shape (prompt, position)
    memory : int
        Bytes that a batch's forward pass may take, about; at least one window is always taken.

    Returns
    -------
    list of slice
    """
    at_hand = family.device.type != "cuda" and family.layer_bytes <= _CACHED
    memory = min(memory, _CACHED) if at_hand else memory
    batch = max(1, memory // family.window_bytes(windows.shape[1]))
    return [slice(start, start + batch) for start in range(0, len(windows), batch)]
