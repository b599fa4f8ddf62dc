"""How much is held at once, in one table: what passes cut themselves to, and what jobs ask for follows.

Constants, not the machine's memory, so that the same input gives the same bytes.
"""

FORWARD = 256 << 20  # bytes of a forward pass
KNOCKOUT = 512 << 20  # bytes of the passes with heads knocked out
AT_HAND = 64 << 20  # of which on a CPU as much is at once, where layers are large: more of them wait for memory
LOGITS = 1 << 24  # logits that exist at once: enough for matrix products at full speed
EFFECTS = 1 << 26  # probabilities that exist at once where effects of knockouts are compared
EVALUATION_TOKENS = 4096  # held-out tokens evaluated at once
