# sensors/<x>/<x>.bpf.c -> an object, carried inside the binary by one generated assembly file
SENSORS := $(notdir $(patsubst %/,%,$(wildcard sensors/*/)))
BPF_OBJS := $(SENSORS:%=$(O)/bpf/%.o)
ARCH_x86_64 := x86
ARCH_aarch64 := arm64
BPF_ARCH := $(ARCH_$(shell uname -m))
BPF_FLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
	-Wno-missing-declarations -Wno-sign-compare -Werror

$(O)/bpf/%.o: $(wildcard bpf/*.h) abi/wr_abi.h mk/bpf.mk
	@mkdir -p $(@D)
	$(call say,BPF,$*)$(CLANG) $(BPF_FLAGS) -c sensors/$*/$*.bpf.c -o $@.tmp
	@$(LLVM_STRIP) -g $@.tmp -o $@
	@rm -f $@.tmp

define bpf_dep
$(O)/bpf/$(1).o: sensors/$(1)/$(1).bpf.c
endef
$(foreach s,$(SENSORS),$(eval $(call bpf_dep,$(s))))
LLVM_STRIP ?= llvm-strip

$(O)/embed.S: $(BPF_OBJS) $(WEB_O)/stamp mk/bpf.mk
	@{ echo '.section .rodata'; for s in $(SENSORS); do \
	printf '.balign 8\n.global wr_obj_%s\n.global wr_obj_%s_end\nwr_obj_%s:\n.incbin "$(O)/bpf/%s.o"\nwr_obj_%s_end:\n' \
		$$s $$s $$s $$s $$s; done; for a in $(ASSETS); do \
	printf '.global wr_web_%s\n.global wr_web_%s_end\nwr_web_%s:\n.incbin "$(WEB_O)/dist/%s.gz"\nwr_web_%s_end:\n' \
		$$a $$a $$a $$a $$a; done; echo '.section .note.GNU-stack,"",@progbits'; } > $@
