"""ONNX models of a few nodes, as bytes, with nothing but the standard library."""

import struct

FLOAT, INT64, BOOL = 1, 7, 9


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def integer(field, number):
    return varint(field << 3) + varint(number)


def piece(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name, kind, dims, values):
    form = {FLOAT: "f", INT64: "q", BOOL: "?"}[kind]
    return (b"".join(integer(1, dim) for dim in dims) + integer(2, kind) + piece(8, name)
            + piece(9, struct.pack(f"<{len(values)}{form}", *values)))


def attribute(name, value):
    if isinstance(value, int):
        return piece(1, name) + integer(3, value) + integer(20, 2)
    return piece(1, name) + b"".join(integer(8, item) for item in value) + integer(20, 7)


def node(op_type, inputs, outputs, **attributes):
    return (b"".join(piece(1, name) for name in inputs)
            + b"".join(piece(2, name) for name in outputs) + piece(4, op_type)
            + b"".join(piece(5, attribute(*item)) for item in attributes.items()))


def value(name, dims=None, kind=FLOAT):
    shape = b"" if dims is None else piece(2, b"".join(piece(1, integer(1, dim)) for dim in dims))
    return piece(1, name) + piece(2, piece(1, integer(1, kind) + shape))


def model(nodes, inputs, outputs, tensors=(), metadata=None, opset=17):
    """`inputs` by name with their shape, `outputs` by name."""
    graph = (b"".join(piece(1, one) for one in nodes) + piece(2, "g")
             + b"".join(piece(5, one) for one in tensors)
             + b"".join(piece(11, value(name, dims)) for name, dims in inputs.items())
             + b"".join(piece(12, value(name)) for name in outputs))
    return (integer(1, 8) + piece(7, graph) + piece(8, piece(1, "") + integer(2, opset))
            + b"".join(piece(14, piece(1, key) + piece(2, text))
                       for key, text in (metadata or {}).items()))
