"""Short texts with what tokenizers stumble over."""

TEXTS = [
    "The cat sat on the mat, and the dog sat too.",
    "A second sentence, about the cat: it's ü & 東京!",
    "<|pad|> is not padding when it is text",
    "Tabs\tand\nlines  and   spaces",
]
