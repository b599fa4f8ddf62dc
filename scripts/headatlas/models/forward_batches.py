"""How many windows a forward pass takes at once."""

from headatlas.models.memory_limits import FORWARD

MEMORY = FORWARD
_CACHED = 16 << 20  # bytes of a forward pass that a processor keeps at hand: larger batches take longer on a CPU


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
    memory = memory if family.device.type == "cuda" else min(memory, _CACHED)
    batch = max(1, memory // family.window_bytes(windows.shape[1]))
    return [slice(start, start + batch) for start in range(0, len(windows), batch)]
