#!/bin/bash
# Each fuzz target for a few seconds; `make fuzz FUZZ_SECONDS=600` runs them long.
n=0
for f in tests/fuzz/*.c; do
	x=$(basename "$f" .c); n=$((n + 1))
	if out=$(timeout 60 "$BUILD/fuzz/$x" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=4096 -rss_limit_mb=2048 2>&1); then
		echo "ok $n - $x: $(echo "$out" | grep -o 'Done [0-9]* runs' | tail -1)"
	else
		echo "not ok $n - $x"; echo "$out" | tail -30 | sed 's/^/# /'
	fi
done
rm -f crash-* leak-* oom-* slow-unit-*
echo "1..$n"
