#!/bin/bash
# Follows docs/NEW-sensor.md in a copy of the tree: the snippets there, one folder, one line; then it must load.
set -e
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
cp -r abi bpf sensors src mk Makefile "$w"
doc=$PWD/docs/NEW-sensor.md
cd "$w"
mkdir sensors/hello
awk '/^```c hello.bpf.c/{f=1;next} /^```/{f=0} f' "$doc" > sensors/hello/hello.bpf.c
awk '/^```c hello.c/{f=1;next} /^```/{f=0} f' "$doc" > sensors/hello/hello.c
[ -s sensors/hello/hello.bpf.c ] && [ -s sensors/hello/hello.c ]
echo 'WR_SENSOR(hello)' >> sensors/sensors.def
make -j2 -s O="$w/b" "$w/b/weir" > "$w/log" 2>&1 || { tail -20 "$w/log"; exit 1; }
if [ "$(id -u)" = 0 ]; then
	"$w/b/weir" doctor --standalone --json --for 100ms | grep '"name":"hello","state":"active"'
fi
