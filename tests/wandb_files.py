"""Reads what W&B writes offline, before anything is uploaded."""

import struct

from wandb.proto.wandb_internal_pb2 import Record


def records_of(path):
    """Yields the records of an offline run: LevelDB's log format behind a header of 7 bytes."""
    content = path.read_bytes()
    assert content[:4] == b":W&B"
    place, parts = 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the whole or the last part of a record
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""
