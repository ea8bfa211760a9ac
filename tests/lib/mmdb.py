# SPDX-License-Identifier: Apache-2.0
"""Writes files in MaxMind's DB format (version 2.0 of its specification): `write(path, type, {"198.51.100.0/24": {...}, ...})`; the networks must not lie in each other."""
import ipaddress, struct, time


def _control(kind, size):
    first, more = (kind << 5, b"") if kind < 8 else (0, bytes([kind - 7]))
    if size < 29:
        return bytes([first | size]) + more
    if size < 285:
        return bytes([first | 29]) + more + bytes([size - 29])
    return bytes([first | 30]) + more + struct.pack(">H", size - 285)


def encode(v):
    if isinstance(v, dict):
        return _control(7, len(v)) + b"".join(encode(k) + encode(x) for k, x in v.items())
    if isinstance(v, list):
        return _control(11, len(v)) + b"".join(map(encode, v))
    if isinstance(v, int):
        v = ("uint32", v)
    if isinstance(v, tuple):  # (type, number)
        b = v[1].to_bytes((v[1].bit_length() + 7) // 8, "big")
        return _control({"uint16": 5, "uint32": 6, "uint64": 9}[v[0]], len(b)) + b
    b = v.encode()
    return _control(2, len(b)) + b


def write(path, kind, networks):
    nodes, data, at = [[None, None]], b"", {}
    for net, v in networks.items():
        net = ipaddress.ip_network(net)
        bits, length = int(net.network_address), net.prefixlen + (96 if net.version == 4 else 0)
        node = 0
        for i in range(length):
            bit = bits >> (127 - i) & 1
            if i == length - 1:
                e = encode(v)
                if e not in at:
                    at[e] = len(data)
                    data += e
                nodes[node][bit] = ("data", at[e])
                break
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
    n = len(nodes)
    record = lambda r: n if r is None else r if isinstance(r, int) else n + 16 + r[1]
    tree = b"".join(record(r).to_bytes(4, "big") for pair in nodes for r in pair)
    short = lambda v: ("uint16", v)
    meta = {"node_count": n, "record_size": short(32), "ip_version": short(6), "database_type": kind, "languages": ["en"],
            "binary_format_major_version": short(2), "binary_format_minor_version": short(0),
            "build_epoch": ("uint64", int(time.time())), "description": {"en": kind}}
    with open(path, "wb") as f:
        f.write(tree + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + encode(meta))
