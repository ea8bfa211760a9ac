# What does not need to run the program. `make lint` is part of the tests (tests/lint/).
LINT_SRCS := $(filter-out %_test.c,$(wildcard src/*/*.c) $(wildcard src/proto/*/*.c)) $(filter-out %.bpf.c %_test.c,$(wildcard sensors/*/*.c actors/*/*.c))

lint: check-style clang-build cppcheck

check-style:
	tools/check-layers
	tools/check-tables
	tools/check-style

# the other compiler, all warnings
clang-build:
	@for f in $(LINT_SRCS); do $(CLANG) $(CPPFLAGS) -std=gnu17 -O1 -fsyntax-only -Wall -Wextra -Werror -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wimplicit-fallthrough $$f || exit 1; done

cppcheck:
	cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,portability --suppress=missingIncludeSystem \
		--suppress=unknownMacro --suppress=syntaxError --suppress=preprocessorErrorDirective -D__GNUC__ -DWR_VERSION='"x"' src

fmt-check:
	clang-format --dry-run -Werror $(LINT_SRCS)

fmt:
	clang-format -i $(LINT_SRCS)

.PHONY: lint fmt check-style clang-build cppcheck fmt-check
