# What a developer runs. Each target says what it needs and installs it when it
# is missing; .ci/run is the whole of it in the order of CI.

LINT    := 2.15.0
GOFUMPT := 0.12.0

export PATH := $(PATH):$(shell go env GOPATH)/bin

.PHONY: build test fuzz lint fmt setup clean

build: ## the program, static, without the paths of this machine
	CGO_ENABLED=0 go build -trimpath -o gatehouse .

# With the profile (default.pgo) every package is compiled once more. Tests do
# without it.
test fuzz lint: export GOFLAGS := -pgo=off

.PHONY: man
man: build ## man pages of all commands, in man/
	./gatehouse man man

# go test ./... alone runs what needs nothing but Go. The tag e2e adds the tests
# that start servers and browsers.
test: setup ## everything: the race detector, a real browser, a real Django
	go vet ./...
	go vet -tags e2e ./...
	go test -tags e2e -race -shuffle=on -timeout 30m ./...

fuzz: ## each fuzz target for 20 seconds; make fuzz FOR=10m for longer
	./.ci/fuzz $(or $(FOR),20s)

lint: bin/golangci-lint-$(LINT) bin/gofumpt-$(GOFUMPT)
	@test -z "$$(bin/gofumpt-$(GOFUMPT) -l .)" || { bin/gofumpt-$(GOFUMPT) -d .; exit 1; }
	bin/golangci-lint-$(LINT) fmt --diff
	bin/golangci-lint-$(LINT) run ./...

fmt: bin/golangci-lint-$(LINT)
	bin/golangci-lint-$(LINT) fmt

setup: ## Debian's Chromium, Django, gunicorn and C compiler, when missing
	@./.ci/setup

# The tools are pinned here and not in go.mod, whose short list is a defence.
# One of the right version that is installed already is taken as it is.
bin/golangci-lint-$(LINT):
	@mkdir -p bin
	@if golangci-lint version 2>/dev/null | grep -qF 'version $(LINT) '; then ln -sf "$$(command -v golangci-lint)" $@; \
	else GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT) && mv bin/golangci-lint $@; fi

bin/gofumpt-$(GOFUMPT):
	@mkdir -p bin
	@if gofumpt -version 2>/dev/null | grep -q '^v$(GOFUMPT) '; then ln -sf "$$(command -v gofumpt)" $@; \
	else GOBIN=$(CURDIR)/bin go install mvdan.cc/gofumpt@v$(GOFUMPT) && mv bin/gofumpt $@; fi

.PHONY: bench bench-sessions pgo
bench: ## CPU a request, beside nginx (nginx-light) and httputil; make bench BENCH="-rounds 7 -out docs"
	go run ./bench $(BENCH)

bench-sessions: ## a million sessions in our store, in scs (bench/scs) and in Django (python3-django)
	go run ./bench -scenarios stores $(BENCH)

# Without our own functions: what is inlined of them makes the stacks of idle
# WebSockets twice as deep.
pgo: ## default.pgo, which builds use, from half a minute of load
	@mkdir -p bin
	go run ./bench -profile bin/default.pgo -rounds 1 -duration 30s
	go tool pprof -proto -hide '^gatehouse/' -output default.pgo bin/default.pgo

.PHONY: screenshots
screenshots: setup ## docs/img: our pages as Chromium shows them (fonts-noto-core makes them look as on most desktops)
	@mkdir -p docs/img
	GATEHOUSE_SCREENSHOTS=$(CURDIR)/docs/img go test -tags e2e -count=1 -run '^TestPagesInABrowser$$/^screenshots$$' ./e2e/browser

clean:
	rm -rf gatehouse bin
