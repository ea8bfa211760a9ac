# User space. SAN=address,undefined builds with sanitizers into the folder that O names.
CPPFLAGS += -D_GNU_SOURCE -I/usr/include/lua5.4 -DWR_VERSION='"$(VERSION)"'
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	-Wwrite-strings -Wvla-larger-than=65536 -Wformat=2 -Wundef -Wno-format-nonliteral
ifneq ($(findstring clang,$(CC)),)
WARN := $(filter-out -Wvla-larger-than=65536,$(WARN))
endif
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu17 $(CFLAGS) $(WARN) -fno-strict-aliasing -fstack-protector-strong
ifdef SAN
ALL_CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
LIBS := -lbpf -lhogweed -lnettle -lelf -lz -lzstd -lsqlite3 -lmaxminddb -lyaml -llua5.4 -lcap -lseccomp -lnftables -lncursesw -ltinfo -lpthread -lm

SRCS := $(wildcard src/*/*.c) $(wildcard src/proto/*/*.c) $(filter-out %.bpf.c %_test.c,$(wildcard sensors/*/*.c actors/*/*.c))
SRCS := $(filter-out %_test.c,$(SRCS))
OBJS := $(SRCS:%.c=$(O)/%.o) $(O)/embed.o
LIB_OBJS := $(filter-out $(O)/src/cli/main.o,$(OBJS))

$(O)/.flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS) $(CPPFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(CPPFLAGS)' > $@
FORCE:

$(O)/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(O)/embed.o: $(O)/embed.S
	$(call say,AS,$<)$(CC) -c $< -o $@

$(O)/weir: $(OBJS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

$(O)/libweir.a: $(LIB_OBJS)
	@rm -f $@; ar rcs $@ $^

-include $(SRCS:%.c=$(O)/%.d)
.PHONY: FORCE
