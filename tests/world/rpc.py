# SPDX-License-Identifier: Apache-2.0
"""gRPC: calls and streams of a real server and client, how many messages each side sent, their fields by number; values are secrets."""
import shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
PY = "/usr/bin/python3"
if subprocess.run([PY, "-c", "import grpc"], stderr=subprocess.DEVNULL).returncode:
    skip("gRPC", "python3-grpcio is not installed")
    done()
T = tempfile.mkdtemp(prefix="weir-grpc-")
later(shutil.rmtree, T, True)
PORT = free_port()
spawn([PY, "-c", f"""
import grpc
from concurrent import futures

class H(grpc.GenericRpcHandler):
    def service(self, d):
        if d.method == "/shop.Cart/Add":
            return grpc.unary_unary_rpc_method_handler(lambda r, c: b"\\x08\\x07" + r[:0])
        if d.method == "/shop.Cart/Watch":
            return grpc.unary_stream_rpc_method_handler(lambda r, c: (b"\\x0a\\x04item" for _ in range(50)))
        if d.method == "/shop.Cart/Fill":
            return grpc.stream_unary_rpc_method_handler(lambda r, c: b"\\x08" + bytes([sum(1 for _ in r)]))
        if d.method == "/shop.Cart/Large":
            return grpc.unary_unary_rpc_method_handler(lambda r, c: b"\\x0a\\x80\\x80\\x40" + b"x" * (1 << 20))

s = grpc.server(futures.ThreadPoolExecutor(4))
s.add_generic_rpc_handlers((H(),))
s.add_insecure_port("127.0.0.1:{PORT}")
s.start()
s.wait_for_termination()
"""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
listening(PORT)
CLIENT = f"""
import grpc
c = grpc.insecure_channel("127.0.0.1:{PORT}", options=[("grpc.max_receive_message_length", -1)])
card = b"\\x0a\\x05alice\\x10\\x96\\x01\\x1a\\x06\\x0a\\x04" + b"4711"
for i in range(10): assert c.unary_unary("/shop.Cart/Add")(card) == b"\\x08\\x07"
assert len(list(c.unary_stream("/shop.Cart/Watch")(b"\\x08\\x01"))) == 50
assert c.stream_unary("/shop.Cart/Fill")(card for _ in range(30)) == b"\\x08\\x1e"
assert len(c.unary_unary("/shop.Cart/Large")(card)) == (1 << 20) + 4
try: c.unary_unary("/shop.Cart/None")(card)
except grpc.RpcError as e: assert e.code() == grpc.StatusCode.UNIMPLEMENTED
"""


def calls(*args):
    """The requests of one run of the client, by method."""
    w = Weir("requests", "--json", "-w", f"server.port = {PORT}", *args, ready=2)
    r = subprocess.run([PY, "-c", CLIENT], capture_output=True, text=True)
    ok(r.returncode == 0, "the client did all it wanted", r.stderr[-500:])
    until(lambda: len(w.so_far()) >= 14, 3)
    res = {}
    for x in w.end().records:
        if x["kind"] == "request":
            res.setdefault(x["resource"].split("/")[-1], []).append(x)
    return res, w.out


got, text = calls()
ok({k: len(v) for k, v in got.items()} == {"Add": 10, "Watch": 1, "Fill": 1, "Large": 1, "None": 1} and {x["protocol"] for v in got.values() for x in v} == {"grpc"},
   "each call once", {k: len(v) for k, v in got.items()})
count = {k: (v[0]["detail"].get("request_messages"), v[0]["detail"].get("response_messages")) for k, v in got.items()}
ok(count == {"Add": (1, 1), "Watch": (1, 50), "Fill": (30, 1), "Large": (1, 1), "None": (1, 0)}, "messages of each side, of streams too", count)
d = got["Add"][-1]["detail"]
ok(d["request_fields"] == {"1": "text(5)", "2": "varint", "3": {"1": "text(4)"}} and d["response_fields"] == {"1": "varint"}, "fields by number, and what they hold", d)
ok("alice" not in text and "4711" not in text, "no value of them is told")
ok(got["None"][0]["detail"]["grpc_status"] == 12 and got["None"][0]["error"], "an error in the trailers", got["None"])
got, _ = calls("--unmasked")
ok(got["Add"][0]["detail"]["request_fields"] == {"1": "alice", "2": 150, "3": {"1": "4711"}}, "--unmasked: with their values", got["Add"][0]["detail"])
done()
