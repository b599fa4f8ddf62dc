"""Numbers and texts as a page carries them: small, exact to a stated step, and never markup."""

import base64
import json
import math
import zlib

import numpy as np


def quantised(weights):
    """Attention weights as bytes: 255 is one, so a weight is off by at most 1/510."""
    return np.rint(np.clip(weights, 0, 1) * 255).astype(np.uint8)


def quantised_finely(weights):
    """Numbers of 0 to 1 that are read, such as mean attention, as two bytes each, off by at most 1/131070."""
    return np.rint(np.clip(weights, 0, 1) * 65535).astype("<u2")


def floats(values):
    """Numbers as base64 of little-endian 32-bit floats, missing ones as NaN: what the page reads back as an array."""
    return {"f32": base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()}


def integers(values):
    """Whole numbers as base64 of little-endian 32-bit integers."""
    return {"i32": base64.b64encode(np.asarray(values, dtype="<i4").tobytes()).decode()}


def block(header, *arrays, strategies=(zlib.Z_DEFAULT_STRATEGY,)):
    """A header and arrays as one deflated block in base64.

    Inside lie the header's length (4 bytes, little-endian), the header as UTF-8 JSON, which is given the type, shape
    and place of each array under `arrays`, then the arrays' bytes, each at a multiple of 8.

    Parameters
    ----------
    header : mapping
        What JSON can hold.
    *arrays : ndarray
        uint8, uint16, int32 or float32.
    strategies : sequence of int
        Ways of zlib to deflate the block, of which the shortest is kept.

    Returns
    -------
    str
    """
    described, body, place = [], [], 0
    for array in map(np.ascontiguousarray, arrays):
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        described.append([array.dtype.name, list(array.shape), place])
        padding = -len(content) % 8
        body += [content, b"\0" * padding]
        place += len(content) + padding
    text = json.dumps(plain({**header, "arrays": described}), ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    content = b"".join([len(text).to_bytes(4, "little"), text, *body])
    return base64.b64encode(min((_deflated(content, strategy) for strategy in strategies), key=len)).decode()


def _deflated(content, strategy):
    deflate = zlib.compressobj(6, strategy=strategy)
    return deflate.compress(content) + deflate.flush()


def unblock(packed):
    """What `block` packed: the header, and the arrays as a list."""
    content = zlib.decompress(base64.b64decode(packed))
    length = int.from_bytes(content[:4], "little")
    header, start = json.loads(content[4 : 4 + length]), 4 + length
    arrays = [
        np.frombuffer(content, np.dtype(kind).newbyteorder("<"), math.prod(shape), start + place).reshape(shape)
        for kind, shape, place in header.pop("arrays")
    ]
    return header, arrays


def plain(value, digits=6):
    """A value as strict JSON can hold it: NumPy's numbers as Python's, rounded; NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits)
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{digits}g}") if math.isfinite(value) else None
    return value


def script_json(value):
    """JSON that can stand inside a script element: it holds no `<`, so nothing in it can end the element."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
