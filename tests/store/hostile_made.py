"""Model files made by hand to ask for much, to reach the terminal, or to lead in circles."""

from __future__ import annotations

import struct

from tests.fakes import model_files as make

Made = tuple[tuple[str, bytes], ...]
"""What it is, and its bytes."""


def gguf_by_hand() -> Made:
    """GGUF: counts, and words with control characters."""

    def strings(count: int) -> bytes:
        return make.gguf_string("a") + struct.pack("<IIQ", 9, 8, count)

    def keys(count: int, tensors: int, rest: bytes) -> bytes:
        return struct.pack("<4sIQQ", b"GGUF", 3, tensors, count) + rest

    one = make.gguf_string("k%d") + struct.pack("<II", 4, 1)
    many_keys = b"".join(one.replace(b"%d", b"%02x" % (i & 255)) for i in range(4096))
    tensor = struct.pack("<I2QIQ", 2, 32, 1, 0, 0)
    many_tensors = b"".join(make.gguf_string(f"t{i:06}") + tensor for i in range(8192))
    many_languages: dict[str, object] = {"general.languages": [f"{i:02x}" * 30 for i in range(512)]}
    odd: dict[str, object] = {
        "general.license": "\x1b]0;title\x07",
        "general.languages": ["\x1b[31m", "en", "../.."],
        "llama.attention.head_count_kv": [-1, 1 << 30],
        "llama.attention.key_length": 1 << 31,
    }
    sound, tensors = make.llama_keys(), make.llama_tensors()
    painted = make.gguf_string("\x1b[31m") + struct.pack("<II", 4, 1)
    return (
        ("a million empty strings", keys(1, 1, strings(10**6) + bytes(8 * 10**6))),
        ("empty strings as many as allowed", keys(1, 1, strings(130_000) + bytes(8 * 130_000))),
        ("2^60 empty strings", keys(1, 1, strings(1 << 60) + bytes(1 << 20))),
        ("4,096 keys of 256 names", keys(4096, 1, many_keys)),
        ("8,192 tensors at one place", keys(0, 8192, many_tensors)),
        ("many long languages", make.gguf(sound | many_languages, tensors)[:-1]),
        ("an architecture that paints", make.gguf_llama().replace(b"llama", b"ll\x1b[m")),
        ("metadata that paint", make.gguf(sound | odd, tensors)),
        ("a key that paints, twice", keys(2, 1, painted * 2 + bytes(99))),
    )


def onnx_by_hand() -> Made:
    """ONNX: floods, nests and lengths."""

    def behind(rest: bytes) -> bytes:
        return make.field(1, 8) + rest

    def nested(depth: int) -> bytes:
        inner = make.field(4, "Add")
        for _ in range(depth):
            inner = make.field(1, make.field(5, make.field(6, inner)))
        return inner

    node = make.field(1, make.field(4, "Add"))
    paint = make.field(14, make.field(1, "license") + make.field(2, "\x1b[31m"))
    dims = b"".join(make.field(1, (1 << 39)) for _ in range(16))
    return (
        ("fields without end", behind(make.field(2, "") * 1_000_000)),
        ("nodes without end", behind(make.field(7, node * 60_000))),
        ("properties without end", make.onnx_model() + paint * 5000),
        ("a property that paints", make.onnx_model() + paint),
        ("graphs in graphs", behind(make.field(7, nested(40)))),
        ("as deep as allowed", behind(make.field(7, nested(7)) * 3000)),
        ("dimensions that multiply", make.onnx_model(tensor=dims + make.field(2, 1))),
        ("a length without an end", behind(b"\x3a" + b"\xff" * 9)),
        ("a length past 2^63", behind(b"\x3a" + b"\xff" * 8 + b"\x7f" + bytes(100))),
    )


class _Flatbuffer:
    """Just enough of one to write tables that share what they point to."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0\0\0\0ORTM")

    def table(self, *fields: int) -> tuple[int, dict[int, int]]:
        """Append a table of offsets; returns its place, and that of each field."""
        slots = max(fields) + 1
        at = [4 + 4 * fields.index(i) if i in fields else 0 for i in range(slots)]
        index = len(self.data)
        self.data += struct.pack(f"<2H{slots}H", 4 + 2 * slots, 4 + 4 * len(fields), *at)
        place = len(self.data)
        self.data += struct.pack("<i", place - index) + bytes(4 * len(fields))
        return place, {number: place + at[number] for number in fields}

    def vector(self, content: bytes, count: int | None = None) -> int:
        """Append a length and what it is of."""
        place = len(self.data)
        self.data += struct.pack("<I", len(content) if count is None else count) + content
        return place

    def offsets(self, count: int) -> int:
        """Append a list of offsets that lead nowhere yet."""
        return self.vector(bytes(4 * count), count)

    def fill(self, place: int, target: int) -> None:
        """Let all offsets of a list lead to one later place."""
        (count,) = struct.unpack_from("<I", self.data, place)
        for at in range(place + 4, place + 4 + 4 * count, 4):
            self.point(at, target)

    def point(self, place: int, target: int) -> None:
        """Let an offset lead to a later place."""
        struct.pack_into("<I", self.data, place, target - place)


def _ort_of(tensors: int, strings: int, raw_bytes: int, *, shared: bool = True) -> bytes:
    """An ORT model whose tensors are one and the same, and so are the strings of each.

    Not `shared`: as many empty tensors, which have nothing but their index in common.
    """
    flat = _Flatbuffer()
    session, in_session = flat.table(0, 1)
    model, in_model = flat.table(7)
    graph, in_graph = flat.table(0, 2)
    tensor_list, node_list = flat.offsets(tensors), flat.offsets(1)
    tensor, in_tensor = flat.table(4, 5)
    string_list, version = flat.offsets(strings), flat.vector(b"5")
    raw = flat.vector(bytes(raw_bytes))
    for place, target in (
        (0, session),
        (in_session[0], version),
        (in_session[1], model),
        (in_model[7], graph),
        (in_graph[0], tensor_list),
        (in_graph[2], node_list),
        (in_tensor[4], raw),
        (in_tensor[5], string_list),
    ):
        flat.point(place, target)
    for list_at, target in ((tensor_list, tensor), (node_list, tensor), (string_list, version)):
        flat.fill(list_at, target)
    if not shared:
        index = flat.vector(b"", count=0x0004_0004)  # two sizes of four bytes
        for at in range(tensor_list + 4, tensor_list + 4 + 4 * tensors, 4):
            flat.point(at, len(flat.data))
            flat.data += struct.pack("<i", len(flat.data) - index)
    return bytes(flat.data)


def ort_by_hand() -> Made:
    """ORT: lists that share what they point to."""
    return (
        ("one tensor, sound", _ort_of(1, 1, 64)),
        ("10^10 strings in 800 KB", _ort_of(100_000, 100_000, 64)),
        ("tensors that share a megabyte", _ort_of(50, 0, 1 << 20)),
        ("many tensors that are one", _ort_of(6500, 0, 0)),
        ("tensors as many as allowed", _ort_of(6520, 0, 0, shared=False)),
        ("a few tensors more", _ort_of(6530, 0, 0, shared=False)),
        ("strings as many as allowed", _ort_of(1, 6510, 0)),
    )


def json_by_hand() -> Made:
    """The JSON of a voice: depths, digits and control characters."""

    def voice(text: str) -> bytes:
        return make.piper_config(espeak={"voice": "VOICE"}).replace(b'"VOICE"', text.encode())

    wide = {str(i): list(range(60)) for i in range(4000)}
    return (
        ("a scale of 400 digits", make.piper_config(inference={"noise_scale": 10**400})),
        (
            "a deep nest for a rate",
            make.piper_config(audio={"sample_rate": "NEST"}).replace(
                b'"NEST"', b"[" * 980 + b"]" * 980
            ),
        ),
        ("a voice that paints", voice('"\\u001b[31m"')),
        ("half a surrogate", voice('"\\ud800"')),
        ("a scale that paints", make.piper_config(inference={"\x1b[31m": 99})),
        ("a megabyte of brackets", b'{"a":' + b"[" * 999_990),
        ("a megabyte of keys", b"{" + b",".join(b'"%d":0' % i for i in range(100_000)) + b"}"),
        ("phonemes of many ids", make.piper_config(phoneme_id_map=wide)),
        ("a licence that paints", make.piper_config(license="\x1b[31m", language={"code": "\x07"})),
    )
