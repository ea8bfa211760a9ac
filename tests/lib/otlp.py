# SPDX-License-Identifier: Apache-2.0
"""OTLP's messages out of protobuf, as its JSON form writes them, by the numbers of opentelemetry-proto 1.3; and, run as a program by
the system's python, a gRPC server (grpcio's) that prints what it gets: `METHOD HEX` a line."""
import struct, sys

ANY = {1: ("stringValue", "text"), 2: ("boolValue", bool), 3: ("intValue", str), 4: ("doubleValue", "double")}
ATTRIBUTE = {1: ("key", "text"), 2: ("value", ANY)}
RESOURCE = {1: ("attributes", [ATTRIBUTE])}
SCOPE = {1: ("name", "text"), 2: ("version", "text")}
SPAN = {1: ("traceId", "id"), 2: ("spanId", "id"), 3: ("traceState", "text"), 4: ("parentSpanId", "id"), 5: ("name", "text"), 6: ("kind", int), 7: ("startTimeUnixNano", "fixed"),
        8: ("endTimeUnixNano", "fixed"), 9: ("attributes", [ATTRIBUTE]), 15: ("status", {2: ("message", "text"), 3: ("code", int)})}
LOG = {1: ("timeUnixNano", "fixed"), 2: ("severityNumber", int), 3: ("severityText", "text"), 5: ("body", ANY), 6: ("attributes", [ATTRIBUTE]), 11: ("observedTimeUnixNano", "fixed")}
POINT = {2: ("startTimeUnixNano", "fixed"), 3: ("timeUnixNano", "fixed"), 4: ("asDouble", "double"), 7: ("attributes", [ATTRIBUTE])}
METRIC = {1: ("name", "text"), 2: ("description", "text"), 3: ("unit", "text"), 5: ("gauge", {1: ("dataPoints", [POINT])})}


def of(kind, record):
    return {1: ("resource", RESOURCE), 2: (f"scope{kind}", [{1: ("scope", SCOPE), 2: (record, [{"Spans": SPAN, "Logs": LOG, "Metrics": METRIC}[kind]])}])}


REQUESTS = {k: {1: (f"resource{k}", [of(k, r)])} for k, r in (("Spans", "spans"), ("Logs", "logRecords"), ("Metrics", "metrics"))}


def varint(b, at):
    v = shift = 0
    while True:
        c = b[at]
        v, shift, at = v | (c & 0x7f) << shift, shift + 7, at + 1
        if c < 0x80:
            return v, at


def message(b, schema):
    """Strict: a field that is not in the schema, or of another wire type, is an error."""
    out, at = {}, 0
    while at < len(b):
        tag, at = varint(b, at)
        name, how = schema[tag >> 3]
        if tag & 7 == 2:
            n, at = varint(b, at)
            raw, at = b[at:at + n], at + n
            if len(raw) != n:
                raise ValueError("cut")
            if how == "text":
                out[name] = raw.decode()
            elif how == "id":
                out[name] = raw.hex()
            elif isinstance(how, list):
                out.setdefault(name, []).append(message(raw, how[0]))
            elif isinstance(how, dict):
                out[name] = message(raw, how)
            else:
                raise ValueError(name)
        elif tag & 7 == 1:
            raw, at = b[at:at + 8], at + 8
            out[name] = {"fixed": lambda: str(struct.unpack("<Q", raw)[0]), "double": lambda: struct.unpack("<d", raw)[0]}[how]()
        elif tag & 7 == 0:
            v, at = varint(b, at)
            out[name] = how(v)
        else:
            raise ValueError(tag)
    return out


if __name__ == "__main__":
    # argv: the status of each call in turn, a number, or "partial" (two records not taken); then all are fine
    from concurrent import futures
    import grpc
    script, codes = sys.argv[1:], {c.value[0]: c for c in grpc.StatusCode}

    class Any(grpc.GenericRpcHandler):
        def service(self, call):
            def answer(body, ctx):
                now = script.pop(0) if script else "0"
                if now.isdigit() and int(now):
                    ctx.abort(codes[int(now)], "as asked for")
                print(call.method, body.hex(), flush=True)
                return b"\x0a\x0a\x08\x02\x12\x06not so" if now == "partial" else b""
            return grpc.unary_unary_rpc_method_handler(answer)

    s = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Any()])
    print(s.add_insecure_port("127.0.0.1:0"), flush=True)
    s.start()
    s.wait_for_termination(300)
