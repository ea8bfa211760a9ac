# The page: TypeScript in web/, built by Vite into $(O)/web/dist, carried compressed inside the binary. The packages that
# web/package-lock.json names come from npm's registry; where that cannot be reached a page stands in that says so.
# one page for all builds: with sanitizers, for the fuzzer
WEB_O ?= $(abspath $(O))/web
export WEB_O
WEB_SRC := $(wildcard web/*.json web/*.ts web/*.html web/src/* web/public/*)
ASSETS := $(shell sed -n 's/^WR_ASSET.\([a-z_]*\),.*/\1/p' src/api/assets.def)

$(WEB_O)/stamp: $(WEB_SRC) mk/web.mk
	@rm -rf $(WEB_O)/build && mkdir -p $(WEB_O)/build && cp -r web/. $(WEB_O)/build
	$(call say,WEB,page)cd $(WEB_O)/build && { npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > ../log 2>&1 && \
		npm run build >> ../log 2>&1; } || { tail -5 ../log >&2; echo "the page could not be built: the binary says so in its place" >&2; \
		rm -rf dist; mkdir dist; cp public/icon.svg dist; touch dist/app.js dist/app.css; \
		echo '<!doctype html><title>weir</title><p>This binary was built without its page, because npm could not be reached. The API is here: /api/v1/openapi.json' > dist/index.html; }
	@mkdir -p $(WEB_O)/dist; for a in $(ASSETS); do case $$a in index) f=index.html;; icon) f=icon.svg;; *) f=$$(echo $$a | tr _ .);; esac; \
		gzip -9nc $(WEB_O)/build/dist/$$f > $(WEB_O)/dist/$$a.gz || exit 1; done
	@touch $@
