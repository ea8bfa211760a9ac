# weir: one non-recursive make. `make help` names the targets.
O ?= build
PREFIX ?= /usr/local
VERSION := 0.1.0
CC ?= gcc
CLANG ?= clang

# As many jobs as processors, unless -j says otherwise
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# V=1 shows the commands
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)'; )

all: $(O)/weir

include mk/deps.mk
include mk/web.mk
include mk/bpf.mk
include mk/cc.mk
include mk/test.mk
include mk/lint.mk
include mk/install.mk

help:
	@echo 'make            build $(O)/weir'
	@echo 'make run        install what is missing, build, start the agent (root)'
	@echo 'make test       install what is missing, build, run every test (root)'
	@echo 'make lint       format, layers, tables, styles, two compilers, static analysis'
	@echo 'make fuzz       the fuzz targets, FUZZ_SECONDS each (60)'
	@echo 'make bench      the figures of docs/PERFORMANCE.md (root, some minutes)'
	@echo 'make install    into DESTDIR and PREFIX'

run:
	+$(MAKE) --no-print-directory RUN_ONLY=1 deps
	+$(MAKE) --no-print-directory $(O)/weir
	$(O)/weir run

# The shop of `weir demo`, with what it uses.
demo:
	+$(MAKE) --no-print-directory RUN_ONLY=1 DEMO=1 deps
	+$(MAKE) --no-print-directory $(O)/weir
	$(O)/weir demo

clean:
	rm -rf $(O)

.DELETE_ON_ERROR:
.PHONY: all help run clean
