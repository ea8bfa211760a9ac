#!/bin/bash
# Documents that can be checked are checked: dependencies, records, help = man, paths, snippets, capabilities.
n=0
t() {
	n=$((n + 1))
	if out=$(eval "$2" 2>&1); then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "$out" | head -20 | sed 's/^/# /'; fi
}
db=$(make -s -pn 2>/dev/null)
listed() { sed -n "s/^$1 := //p" <<< "$db" | tr -s ' \t\\' '\n' | grep . | sort -u; }
t "every package that the makefiles install has its reason" '
	miss=0; for p in $(listed BUILD_DEPS) $(listed WEB_DEPS) $(listed TEST_DEPS) $(listed BENCH_DEPS); do grep -q "| \`$p\`" docs/DEPENDENCIES.md || { echo "$p"; miss=1; }; done; [ $miss = 0 ]'
t "and every reason its package" '
	miss=0; for p in $(sed -n "s/^| \`\([^\`]*\)\`.*/\1/p" docs/DEPENDENCIES.md); do (listed BUILD_DEPS; listed WEB_DEPS; listed TEST_DEPS; listed BENCH_DEPS) | grep -qx -- "$p" || { echo "$p"; miss=1; }; done; [ $miss = 0 ]'
# each tool that the build and the tests call comes from a listed package, what that pulls in, or the base system
all="$(listed BUILD_DEPS) $(listed TEST_DEPS)"
closure=$(apt-cache depends --recurse --no-suggests --no-recommends --no-conflicts --no-breaks --no-replaces --no-enhances $all 2>/dev/null |
	grep -v '^ ' | sort -u)
t "every tool that is called comes from a listed package" '
	miss=0
	for c in cc gcc clang llvm-strip ar install make python3 ip nft tshark tcpdump editcap capinfos tmux iperf3 curl nstat \
		setpriv unshare script man bpftool pkill cppcheck clang-format mount zcat; do
		p=$(dpkg -S "$(readlink -f "$(command -v $c)")" 2>/dev/null | cut -d: -f1 | head -1)
		[ -z "$p" ] && continue
		dpkg-query -W -f="\${Essential} \${Priority}\n" "$p" | grep -qE "^yes|required$|important$" && continue
		grep -qx -- "$p" <<< "$closure" || { echo "$c of $p"; miss=1; }
	done; [ $miss = 0 ]'
t "docs/RECORDS.md is what the tables say" '"$WEIR" docs records | diff - docs/RECORDS.md'
t "man pages have every option of the help" '
	for c in $(sed -n "s/^WR_CMD(\([a-z]*\),.*/\1/p" src/cli/cmds.def); do
		for o in $("$WEIR" $c --help | grep -o -- "--[a-z][a-z.-]*" | sort -u); do
			"$WEIR" docs man $c | sed "s/\\\\-/-/g" | grep -qF -- "$o" || { echo "$c $o"; exit 1; }; done; done'
t "man pages are without errors" '
	for c in "" $(sed -n "s/^WR_CMD(\([a-z]*\),.*/\1/p" src/cli/cmds.def); do
		"$WEIR" docs man $c > /tmp/weir-man.$$; e=$(LC_ALL=C.UTF-8 man --warnings -l /tmp/weir-man.$$ 2>&1 >/dev/null); rm -f /tmp/weir-man.$$
		[ -z "$e" ] || { echo "$c: $e"; exit 1; }; done'
t "completion for bash is right and knows a command" '
	"$WEIR" docs completion bash | bash -n && "$WEIR" docs completion bash > /tmp/weir-comp.$$ &&
	bash -c "source /tmp/weir-comp.$$; COMP_WORDS=(weir co); COMP_CWORD=1; _weir; [[ \${COMPREPLY[*]} == *conns* ]]"; r=$?; rm -f /tmp/weir-comp.$$; [ $r = 0 ]'
t "the configuration with all rows is right" '"$WEIR" docs config > /tmp/weir-cfg.$$ && "$WEIR" ctl config check /tmp/weir-cfg.$$; r=$?; rm -f /tmp/weir-cfg.$$; [ $r = 0 ]'
t "files and tests named in the documents exist" '
	miss=0; for f in $(grep -ohE "\`(src|sensors|actors|tests|tools|docs|bench|bpf|abi|mk|packaging)/[A-Za-z0-9_./-]+\`" README.md ARCHITECTURE.md CONTRIBUTING.md docs/*.md docs/adr/*.md | tr -d "\`" | grep -vE "hello|teapot|shouting|lines\.c|/ask/|/x/|_x\.c|/x\.c" | sort -u); do
		[ -e "$f" ] || { echo "$f"; miss=1; }; done; [ $miss = 0 ]'
t "every capability has its row" '
	miss=0; for id in $(seq -f "P%.0f" 1 24) $(seq -f "S%.0f" 1 22) $(seq -f "T%.0f" 1 17) $(seq -f "C%.0f" 1 8) $(seq -f "R%.0f" 1 5) $(seq -f "X%.0f" 1 8); do
		grep -q "^| $id |" docs/CAPABILITIES.md || { echo $id; miss=1; }; done; [ $miss = 0 ]'
t "a new sensor and a new protocol by docs/NEW-*.md: a folder and a line each" 'bash tests/lib/new-things.sh'
t "install puts everything in its place" '
	d=$(mktemp -d); make -s install DESTDIR=$d PREFIX=/usr >/dev/null && "$d/usr/bin/weir" version && [ -s $d/usr/share/man/man8/weir.8 ] && [ -s $d/usr/lib/systemd/system/weir.service ]; r=$?; rm -rf $d; [ $r = 0 ]'
t "nothing names this machine or a registry" '! git grep -nIE "/work/(main|steering)|deb\.debian\.org|registry\.npmjs|pypi\.org|proxy\.golang" -- . ":!tests/lint/docs.sh"'
echo "1..$n"
