#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Is bench/messages right? Its messages are read by programs that share no line with it.

    bench/test_messages.py FOLDER_OF_THE_PROGRAM TRADE.PROTO

What an encoder wrote, its own decoder may misread in the same way: a round trip proves little. So
each format's messages (--dump) are read here by another implementation, and compared with the
trades (--trades); and each reader is shown to notice one byte that is wrong. The shape of the
report and the flags are checked, too. Exit status 0: all of it holds."""
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

PROGRAM, PROTO = Path(sys.argv[1]).resolve() / "messages", Path(sys.argv[2])
FIELDS = ("symbol", "price", "shares", "side", "timestamp_ns", "order", "match", "locate",
          "tracking")


class Missing(Exception):
    """A reader that is not installed."""


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=40,
                          check=False)
    assert done.returncode == status, (arguments, done.returncode, done.stderr)
    return done.stderr if status else done.stdout


def trades():
    """The trades that the program has, as tuples in the order of FIELDS."""
    first, *rest = (line.split("\t") for line in run("--trades").splitlines())
    assert tuple(first) == FIELDS
    return [tuple(word if name in ("symbol", "side") else int(word)
                  for name, word in zip(FIELDS, line)) for line in rest]


# -------------------------------------------------------------------------------------- the readers


def read_itch(message):
    """Nasdaq TotalView-ITCH 5.0, 1.5.1; struct's ">" has no padding."""
    kind, locate, tracking, high, low, order, side, shares, stock, price, match = struct.unpack(
        ">cHHHIQcI8sIQ", message)
    assert kind == b"P" and stock.rstrip(b" ")
    return (stock.rstrip(b" ").decode(), price, shares, side.decode(), high << 32 | low, order,
            match, locate, tracking)


def read_block(message):
    """MoldUDP64's framing: a length, and then so many bytes."""
    (size,) = struct.unpack_from(">H", message)
    assert size == len(message) - 2
    return read_itch(message[2:])


def read_copy(message):
    timestamp_ns, order, match, shares, price, locate, tracking, side, symbol = struct.unpack(
        "@QQQIIHHc9s2x", message)
    return (symbol.rstrip(b"\0").decode(), price, shares, side.decode(), timestamp_ns, order, match,
            locate, tracking)


def read_json(message):
    found = json.loads(message)
    assert tuple(found) == FIELDS
    return tuple(found.values())


def unpack(message):
    try:
        import msgpack  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise Missing("python3-msgpack") from error
    return msgpack.unpackb(message)


def read_array(message):
    return tuple(unpack(message))


def read_map(message):
    found = unpack(message)
    assert tuple(found) == FIELDS
    return tuple(found.values())


def varint(value):
    """Protocol Buffers, "Base 128 Varints"."""
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes(low + bytes([value]))


def read_protobuf(messages):
    """By protoc, all in one run: as the elements of a field of a message that holds them."""
    if not shutil.which("protoc"):
        raise Missing("protobuf-compiler")
    whole = PROTO.read_text(encoding="utf-8") + "\nmessage All { repeated Trade trade = 1; }\n"
    folder = PROGRAM.parent / "test-messages"
    folder.mkdir(exist_ok=True)
    (folder / "all.proto").write_text(whole, encoding="utf-8")
    text = subprocess.run(
        ["protoc", f"--proto_path={folder}", "--decode=All", "all.proto"], check=True, timeout=40,
        input=b"".join(b"\x0a" + varint(len(message)) + message for message in messages),
        capture_output=True).stdout.decode()
    found = []
    for block in text.split("}\n")[:-1]:
        fields = dict(line.strip().split(": ") for line in block.splitlines()[1:])
        assert set(fields) <= set(FIELDS), fields  # proto3 leaves out what is zero
        found.append((fields["symbol"].strip('"'), int(fields.get("price", 0)),
                      int(fields.get("shares", 0)),
                      {"SIDE_BUY": "B", "SIDE_SELL": "S"}[fields["side"]],
                      *(int(fields.get(name, 0)) for name in FIELDS[4:])))
    return found


def each(read):
    return lambda messages: [read(message) for message in messages]


READERS = {
    "copy": each(read_copy),
    "itch": each(read_itch),
    "leat-itch": each(read_block),
    "protobuf-c": read_protobuf,
    "protobuf-c-pool": read_protobuf,
    "msgpack": each(read_array),
    "msgpack-reuse": each(read_array),
    "msgpack-map": each(read_map),
    "json": each(read_json),
    "json-reuse": each(read_json),
}

# ---------------------------------------------------------------------------------------- the tests


def test_others_read_the_same(row):
    """And notice it when one bit of a message is another."""
    messages = [bytes.fromhex(line) for line in run("--dump", row["name"]).splitlines()]
    read, expected = READERS[row["name"]], trades()
    assert read(messages) == expected
    assert abs(sum(map(len, messages[:1024])) / 1024 - row["bytes"]) < 0.001
    spoilt = bytearray(messages[0])
    digit = spoilt.rindex(b"0") if row["name"].startswith("json") else -3
    spoilt[digit] ^= 1
    try:
        noticed = read([bytes(spoilt)]) != expected[:1]
    except (AssertionError, ValueError, KeyError, subprocess.CalledProcessError):
        noticed = True
    assert noticed, f"{row['name']}: a wrong byte is not seen"


def test_shape(report):
    assert set(report) == {"what", "rows"} and report["what"]
    assert [row["name"] for row in report["rows"]] == list(READERS)
    for row in report["rows"]:
        assert set(row) == {"name", "title", "note", "version", "status", "reason", "bytes",
                            "rounds"}, row
        if row["status"] == "ok":
            assert row["reason"] == "" and 0 < row["bytes"] < 256 and len(row["rounds"]) == 2
            for figures in row["rounds"]:
                assert set(figures) == {"encode_ns", "decode_ns"}
                assert all(0 < value < 1e6 for value in figures.values()), row
        else:
            assert row["status"] == "not run" and row["bytes"] is None and row["rounds"] == []
            assert row["reason"].endswith(" not installed when this was built")


def test_mixed():
    """leat's ITCH, of mixed types: adds and deletes, of 36 and 19 bytes, are most of them."""
    report = json.loads(run("--mixed", "--quick"))
    assert set(report) == {"what", "bytes", "rounds"} and "mixed" in report["what"]
    assert 28 < report["bytes"] < 33 and len(report["rounds"]) == 2
    for figures in report["rounds"]:
        assert set(figures) == {"encode_ns", "decode_ns"}
        assert all(0 < value < 1e6 for value in figures.values()), figures


def test_the_limit_is_the_limit(report):
    """Fixed fields cost a fraction of any text: that holds on any machine, however busy."""
    total = {row["name"]: min(figures["encode_ns"] + figures["decode_ns"]
                              for figures in row["rounds"])
             for row in report["rows"] if row["rounds"]}
    assert total["itch"] * 10 < total["json-reuse"], total
    assert total["leat-itch"] * 10 < total["json-reuse"], total


def test_flags():
    for wrong in (("--rounds", "0"), ("--rounds", "x"), ("--ms", "-1"), ("--ms", "10001"),
                  ("--ms",), ("--slow",), ("extra",), ("--dump", "xml")):
        complaint = run(*wrong, status=2)
        assert complaint.count("\n") == 1 and "messages: " in complaint, (wrong, complaint)
    assert "--rounds N" in run("--help")
    (one,) = {len(row["rounds"]) for row in
              json.loads(run("--rounds", "1", "--ms", "1"))["rows"]} - {0}
    assert one == 1


def main():
    report = json.loads(run("--quick"))
    test_shape(report)
    test_the_limit_is_the_limit(report)
    test_flags()
    test_mixed()
    for row in report["rows"]:
        if row["status"] != "ok":
            print(f"{row['name']}: not built: {row['reason']}")
            continue
        try:
            test_others_read_the_same(row)
        except Missing as missing:
            print(f"{row['name']}: not read by others: {missing} is not installed")
    print("the messages are what they should be")


if __name__ == "__main__":
    main()
