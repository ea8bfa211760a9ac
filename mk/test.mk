# Unit tests stand beside their code, are linked with everything but main(), and run under sanitizers.
# `make test` runs all that this machine can; tests/run prints the count.
SAN_O := $(O)/san
UNIT := $(patsubst %_test.c,%_test,$(wildcard src/*/*_test.c src/proto/*/*_test.c sensors/*/*_test.c actors/*/*_test.c))
UNIT_BINS := $(UNIT:%=$(O)/test/%)

ifdef SAN
$(O)/test/%: %.c $(O)/libweir.a tests/lib/test.h
	@mkdir -p $(@D)
	$(call say,TEST,$*)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-missing-prototypes $< -o $@ $(LDFLAGS) $(O)/libweir.a $(LIBS) -lcmocka
unit-bins: $(UNIT_BINS)
endif

# the page is built once: by this make, before the ones below look for it
unit-san fuzz-lib: $(WEB_O)/stamp
unit-san:
	+$(MAKE) --no-print-directory O=$(SAN_O) SAN=address,undefined CFLAGS='-O1 -g' unit-bins $(SAN_O)/weir

HELPERS := $(patsubst tests/world/%.c,$(O)/helpers/%,$(wildcard tests/world/*.c))
$(O)/helpers/%: tests/world/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -std=gnu17 -O2 -Wall -Wextra -Werror $< -o $@ -lpthread

# by Debian's Go: one that is found first in PATH may be of any version
GO ?= /usr/bin/go
HELPERS += $(O)/helpers/gotls
$(O)/helpers/%: tests/world/%.go
	@mkdir -p $(@D)
	$(call say,GO,$<)GO111MODULE=off CGO_ENABLED=0 GOTOOLCHAIN=local GOCACHE=$(abspath $(O))/gocache GOPATH=$(abspath $(O))/gopath \
		$(GO) build -ldflags="-s -w" -o $@ $<

test: deps
	+$(MAKE) --no-print-directory $(O)/weir unit-san helpers $(O)/helpers/history fuzz-bins
	O=$(O) tests/run $(T)

helpers: $(HELPERS)

FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_O := $(O)/fuzz
FUZZ_SECONDS ?= 60
FUZZ_LIB := $(FUZZ_O)/lib
# the library once, for the fuzzer; then each target is one file
fuzz-lib:
	+@$(MAKE) --no-print-directory O=$(FUZZ_LIB) CC=$(CLANG) SAN=fuzzer-no-link,address,undefined CFLAGS='-O1 -g' $(FUZZ_LIB)/libweir.a
$(FUZZ_O)/%: tests/fuzz/%.c fuzz-lib
	@mkdir -p $(@D)
	$(call say,FUZZ,$*)$(CLANG) $(CPPFLAGS) -std=gnu17 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$< $(FUZZ_LIB)/libweir.a -o $@ $(LIBS)
fuzz-bins: $(FUZZERS:%=$(FUZZ_O)/%)
fuzz: fuzz-bins
	@for f in $(FUZZERS); do echo "== $$f"; mkdir -p $(FUZZ_O)/corpus-$$f; \
	$(FUZZ_O)/$$f -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=2048 $(FUZZ_O)/corpus-$$f || exit 1; done

$(O)/helpers/history $(O)/helpers/guard $(O)/helpers/detect $(O)/helpers/sign: $(O)/helpers/%: bench/%.c $(O)/libweir.a
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -std=gnu17 -O2 -Wall -Wextra -Werror $< $(O)/libweir.a -o $@ $(LIBS)

bench:
	+$(MAKE) --no-print-directory BENCH=1 deps
	+$(MAKE) --no-print-directory $(O)/weir helpers $(O)/helpers/history $(O)/helpers/guard $(O)/helpers/detect $(O)/helpers/sign
	O=$(O) bench/run

.PHONY: test unit-bins unit-san helpers fuzz fuzz-bins fuzz-lib bench
