"""What a figure shows, in one sentence: `plotting.style.save` writes it into the PNG, and captions end in it."""

import struct

KEYWORD = "Description"


def read(png):
    """The sentence inside a PNG, or None where there is none; its pixels are not read."""
    with open(png, "rb") as file:
        file.seek(8)  # the signature
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT":
                return None
            content = file.read(length + 4)[:-4]  # and a checksum
            keyword, _, text = content.partition(b"\0")
            if keyword.decode("latin-1") != KEYWORD:
                continue
            if kind == b"tEXt":
                return text.decode("latin-1")
            if kind == b"iTXt":  # flags of compression, a language and a translated keyword come before it
                return text[2:].split(b"\0", 2)[2].decode("utf-8")
    return None
