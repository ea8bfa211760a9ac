# sensors/<x>/<x>.bpf.c, actors/<x>/<x>.bpf.c -> objects, carried inside the binary by one generated assembly file
BPF_DIRS := $(patsubst %/,%,$(wildcard sensors/*/ actors/*/))
BPF_NAMES := $(notdir $(BPF_DIRS))
BPF_OBJS := $(BPF_NAMES:%=$(O)/bpf/%.o)
ARCH_x86_64 := x86
ARCH_aarch64 := arm64
BPF_ARCH := $(ARCH_$(shell uname -m))
BPF_FLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
	-Wno-missing-declarations -Wno-sign-compare -Werror

$(O)/bpf/%.o: $(wildcard bpf/*.h actors/*/*.h) abi/wr_abi.h mk/bpf.mk
	@mkdir -p $(@D)
	$(call say,BPF,$*)$(CLANG) $(BPF_FLAGS) -c $(filter %.bpf.c,$^) -o $@.tmp
	@$(LLVM_STRIP) -g $@.tmp -o $@
	@rm -f $@.tmp

define bpf_dep
$(O)/bpf/$(notdir $(1)).o: $(1)/$(notdir $(1)).bpf.c
endef
$(foreach d,$(BPF_DIRS),$(eval $(call bpf_dep,$(d))))
LLVM_STRIP ?= llvm-strip

$(O)/embed.S: $(BPF_OBJS) $(WEB_O)/stamp examples/shop.py mk/bpf.mk
	@{ echo '.section .rodata'; for s in $(BPF_NAMES); do \
	printf '.balign 8\n.global wr_obj_%s\n.global wr_obj_%s_end\nwr_obj_%s:\n.incbin "$(O)/bpf/%s.o"\nwr_obj_%s_end:\n' \
		$$s $$s $$s $$s $$s; done; for a in $(ASSETS); do \
	printf '.global wr_web_%s\n.global wr_web_%s_end\nwr_web_%s:\n.incbin "$(WEB_O)/dist/%s.gz"\nwr_web_%s_end:\n' \
		$$a $$a $$a $$a $$a; done; printf '.global wr_demo\n.global wr_demo_end\nwr_demo:\n.incbin "examples/shop.py"\nwr_demo_end:\n'; \
	echo '.section .note.GNU-stack,"",@progbits'; } > $@
