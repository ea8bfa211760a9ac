# DESTDIR and PREFIX are honoured; man pages and completion are made by the binary from its tables.
COMMANDS := $(shell sed -n 's/^WR_CMD.\([a-z]*\),.*/\1/p' src/cli/cmds.def)
INSTALL ?= install

$(O)/doc/stamp: $(O)/weir
	@mkdir -p $(@D)
	$(O)/weir docs man > $(@D)/weir.8
	for c in $(COMMANDS); do $(O)/weir docs man $$c > $(@D)/weir-$$c.8 || exit 1; done
	for s in bash zsh fish; do $(O)/weir docs completion $$s > $(@D)/completion.$$s || exit 1; done
	$(O)/weir docs config > $(@D)/weir.yaml
	@touch $@

doc: $(O)/doc/stamp

install: $(O)/weir $(O)/doc/stamp
	$(INSTALL) -Dm755 $(O)/weir $(DESTDIR)$(PREFIX)/bin/weir
	for c in weir $(COMMANDS:%=weir-%); do $(INSTALL) -Dm644 $(O)/doc/$$c.8 $(DESTDIR)$(PREFIX)/share/man/man8/$$c.8 || exit 1; done
	$(INSTALL) -Dm644 $(O)/doc/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	$(INSTALL) -Dm644 $(O)/doc/completion.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_weir
	$(INSTALL) -Dm644 $(O)/doc/completion.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/weir.fish
	$(INSTALL) -Dm644 $(O)/doc/weir.yaml $(DESTDIR)$(PREFIX)/share/doc/weir/weir.yaml
	sed 's|@BIN@|$(PREFIX)/bin/weir|' packaging/weir.service > $(O)/doc/weir.service
	$(INSTALL) -Dm644 $(O)/doc/weir.service $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service

.PHONY: doc install
