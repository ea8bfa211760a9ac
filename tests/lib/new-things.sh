#!/bin/bash
# Follows docs/NEW-sensor.md, NEW-proto.md, NEW-cause.md, NEW-detector.md and NEW-exporter.md in a copy of the tree: the snippets there, a folder and a line each; then it must work.
set -e
w=$(mktemp -d)
trap 'kill $server $dump 2>/dev/null || true; rm -rf "$w"' EXIT
cp -rp abi actors bpf examples sensors src mk web Makefile "$w" # the page is not built again: its files are not newer
docs=$PWD/docs
cd "$w"
snippet() { awk -v f="$2" '$0 == "```c " f {p=1;next} /^```/{p=0} p' "$docs/$1"; }
mkdir sensors/hello src/proto/ask
snippet NEW-sensor.md hello.bpf.c > sensors/hello/hello.bpf.c
snippet NEW-sensor.md hello.c > sensors/hello/hello.c
snippet NEW-proto.md ask.c > src/proto/ask/ask.c
snippet NEW-cause.md teapot.c > src/why/teapot.c
snippet NEW-detector.md shouting.c > src/detect/shouting.c
snippet NEW-exporter.md lines.c > src/export/lines.c
[ -s sensors/hello/hello.bpf.c ] && [ -s src/why/teapot.c ] && [ -s src/detect/shouting.c ] && [ -s sensors/hello/hello.c ] && [ -s src/proto/ask/ask.c ]
echo 'WR_SENSOR(hello)' >> sensors/sensors.def
echo 'WR_PROTO(ask)' >> src/proto/protos.def
echo 'WR_CAUSE(teapot)' >> src/why/causes.def
echo 'WR_DETECTOR(shouting)' >> src/detect/detectors.def
echo 'WR_EXPORTER(lines)' >> src/export/exporters.def
make -j2 -s O="$w/b" "$w/b/weir" > "$w/log" 2>&1 || { tail -20 "$w/log"; exit 1; }
[ "$(id -u)" = 0 ] || exit 0
"$w/b/weir" doctor --standalone --json --for 100ms | grep '"name":"hello","state":"active"'
"$w/b/weir" export --list | grep "the kind and the time of each record"
socat TCP-LISTEN:18119,bind=127.0.0.1,reuseaddr SYSTEM:'read q; echo NO' & server=$!
sleep 0.3
"$w/b/weir" requests --standalone --json --for 3s -w 'protocol = ask' > "$w/out" & dump=$!
sleep 1.5
printf 'ASK why\n' | socat -t 1 - TCP:127.0.0.1:18119 > /dev/null
wait $dump
grep '"protocol":"ask".*"operation":"ASK","resource":"why","status":"NO","error":true' "$w/out"
kill $server 2>/dev/null || true
printf 'read q\nprintf "HTTP/1.1 418 Short\\r\\nContent-Length: 0\\r\\n\\r\\n"\n' > "$w/answer"
socat TCP-LISTEN:18119,bind=127.0.0.1,reuseaddr,fork EXEC:"sh $w/answer" & server=$!
sleep 0.3
"$w/b/weir" why --json curl -s -m 3 http://127.0.0.1:18119/pot > "$w/out" || true
grep '"cause":"teapot"' "$w/out"
"$w/b/weir" alerts --json --for 3s > "$w/out" & dump=$!
sleep 1.5
for i in 1 2 3 4; do curl -s -m 3 -o "$w/none" http://127.0.0.1:18119/HELLO; done
wait $dump || true
grep '"detector":"shouting".*"count":4' "$w/out"
