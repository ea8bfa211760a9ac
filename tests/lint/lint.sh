#!/bin/bash
# Layers, tables, sizes, the second compiler, static analysis; and that these checks can fail.
n=0
t() { # name, command
	n=$((n + 1))
	if out=$(eval "$2" 2>&1); then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "$out" | head -20 | sed 's/^/# /'; fi
}
t "layers: includes go one way" tools/check-layers
t "tables: a line for each folder, a folder for each line" tools/check-tables
t "sizes, licences, trailing space" tools/check-style
t "clang-format: nothing to change" "make -s fmt-check"
t "clang: no warning" "make -s clang-build"
t "cppcheck: no warning" "make -s cppcheck"
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
git ls-files -z 2>/dev/null | xargs -0 cp --parents -t "$w" 2>/dev/null || cp -r abi bpf src sensors actors docs tools mk Makefile "$w"
cd "$w" || exit 1
echo '#include "../flow/conn.h"' >> src/event/event.c
t "the layer check sees an include upwards" "! tools/check-layers"
mkdir sensors/stray && t "the table check sees a folder without a line" "! tools/check-tables"
printf 'void f(void)\n{\n%s\n}\n' "$(yes ';' | head -201)" >> src/base/base.c
t "the size check sees a long function" "! tools/check-style"
echo "1..$n"
