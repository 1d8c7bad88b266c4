"""Messages of kafka-python's own making, at every version that is asked for.

schemas.py API:MIN-MAX ...

Prints a line of JSON for each message: its API, version and kind, its frame, and the values that are in
it by their paths. The last line names what kafka-python does not have, as API, version and kind.

There are three messages of each kind and version: one with nothing in it, null where that may be; one
with a value for every field, no two numbers alike; and one of the lowest and highest numbers, with
texts and arrays whose lengths take two bytes.
"""

import json
import sys
import uuid

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
from kafka.protocol.api_message import ApiMessage

CORRELATION_ID = 77
CLIENT_ID = "schemas-é"
BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
# It has its own name for two fields of bits.
BITS_NAME = "authorized_operations"
LONG_LENGTH = 200


class Maker:
    """Makes the values of one message, and notes them."""

    def __init__(self, version, style):
        self.version = version
        self.style = style
        self.made = 0
        self.values = {}

    def struct(self, data_class, fields, path):
        made = {}
        for field in fields:
            if not field.for_version_q(self.version):
                continue
            is_tagged = field.tagged_field_q(self.version)
            if is_tagged and self.style == "nothing":
                continue
            made[field.name] = self.value(field, f"{path}.{self.name_of(field, path)}")
        return data_class(version=self.version, **made)

    def name_of(self, field, path):
        if field.name == "match":
            # A word of Rust's.
            return "_match"
        if field.name != BITS_NAME or "groups" in path:
            return field.name
        return f"topic_{BITS_NAME}" if "topics" in path else f"cluster_{BITS_NAME}"

    def value(self, field, path):
        is_null = self.style == "nothing" and field.nullable_for_version_q(self.version)
        if is_null:
            self.values[path] = "None"
            return None
        if field.is_struct_array():
            count = self.length_of_array()
            self.values[f"{path}.len"] = str(count)
            return [
                self.struct(field.data_class, field.fields.values(), f"{path}[{index}]")
                for index in range(count)
            ]
        if field.is_array():
            count = self.length_of_array(is_simple=True)
            self.values[f"{path}.len"] = str(count)
            return [self.simple(field.array_of, f"{path}[{index}]") for index in range(count)]
        if field.is_struct():
            return self.struct(field.data_class, field.fields.values(), path)
        return self.simple(field, path)

    def length_of_array(self, is_simple=False):
        if self.style == "extremes" and is_simple:
            return LONG_LENGTH
        return {"nothing": 0, "each": 2, "extremes": 1}[self.style]

    def simple(self, field, path):
        kind = field.type_str.removeprefix("[]")
        self.made += 1
        value = getattr(self, f"{kind}_of" if kind not in BITS else "number_of")(kind)
        self.values[path] = self.shown(kind, value)
        return value

    def number_of(self, kind):
        bits = BITS[kind]
        if self.style == "nothing":
            return 0
        if self.style == "each":
            return self.made + 1 if bits == 8 else self.made + 1000
        return -(1 << bits - 1) if self.made % 2 else (1 << bits - 1) - 1

    def float64_of(self, _):
        if self.style == "nothing":
            return 0.0
        return self.made + 0.5 if self.style == "each" else -4503599627370495.5

    def bool_of(self, _):
        return self.style != "nothing" and (self.style == "extremes" or self.made % 2 == 1)

    def string_of(self, _):
        if self.style == "nothing":
            return ""
        return f"é-{self.made}" if self.style == "each" else "x" * LONG_LENGTH

    def uuid_of(self, _):
        if self.style == "nothing":
            return uuid.UUID(int=0)
        number = self.made if self.style == "each" else (1 << 128) - 1
        return uuid.UUID(int=number << 64 | number if self.style == "each" else number)

    def records_of(self, _):
        return bytes(self.made) if self.style != "nothing" else b""

    bytes_of = records_of

    def bitfield_of(self, _):
        return None if self.style == "nothing" else {self.made % 31}

    def shown(self, kind, value):
        if kind == "bool":
            return str(value).lower()
        if kind == "string":
            return f'"{value}"'
        if kind == "bytes":
            # All of them are zeros.
            return 'b"' + "\\0" * len(value) + '"'
        if kind == "bitfield":
            return str(-(1 << 31) if value is None else sum(1 << bit for bit in value))
        return str(value)


def message_classes():
    """By name, with those of one version of an API left out."""
    return {one.__name__: one for one in ApiMessage.__subclasses__()}


def has_version(message_class, version):
    return message_class is not None and 0 <= version <= message_class.max_version


def show(api, message_class, version, style):
    maker = Maker(version, style)
    message = maker.struct(message_class, message_class._struct.fields.values(), "")
    if message.is_request():
        message.with_header(correlation_id=CORRELATION_ID, client_id=CLIENT_ID)
    else:
        message.with_header(correlation_id=CORRELATION_ID)
    frame = bytes(message.encode(header=True, framed=True))
    return {
        "api": api,
        "version": version,
        "kind": message_class.type,
        "style": style,
        "frame": frame.hex(),
        "values": maker.values,
    }


def main():
    classes = message_classes()
    missing = []
    for asked in sys.argv[1:]:
        api, versions = asked.split(":")
        lowest, highest = map(int, versions.split("-"))
        for version in range(lowest, highest + 1):
            for kind in ("request", "response"):
                message_class = classes.get(f"{api}{kind.capitalize()}")
                if not has_version(message_class, version):
                    missing.append([api, version, kind])
                    continue
                for style in ("nothing", "each", "extremes"):
                    print(json.dumps(show(api, message_class, version, style)))
    print(json.dumps(missing))


main()
