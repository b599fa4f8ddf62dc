"""Attention phrenology (Edkins & Wiechecki 2023): which heads of independently trained models do the same thing."""

PARTS = 32  # of the prompts, on which distances are kept apart, at most; random halves are made of them
_ROOM = 5 << 29  # bytes of distances between all heads on all parts, in double precision and as they are written


def parts_of(heads, prompts):
    """Into how many parts the prompts are split: fewer, but at least 8, where there are thousands of heads."""
    return min(PARTS, prompts, max(8, _ROOM // (12 * heads**2) // 2 * 2))
