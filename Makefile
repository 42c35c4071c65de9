# textseg: `make demo` and `make test` need Python 3.11, make and git, and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements-dev.txt
LOCK_TOOLS := uv==0.13.9 packaging==25.0
ENSEMBLE_MEMBERS ?= 3
ENSEMBLE_SLICES ?= 16
LONGEST_PART := 25m# a part of test-all that hangs is ended, so that the parts after it still tell something
QUICK := not peers and not faults and not slow
VIEWER := tests/interop/viewer
OHIF := @ohif/app@3.13.2
OHIF_SHA512 := 5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10

.PHONY: help setup demo test test-all viewer pictures lint format benchmark lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## install everything into .venv (the command is then .venv/bin/textseg)

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || {
		echo "textseg needs Python 3.11, and '$(PYTHON)' is not: install python3.11, or say 'make $(MAKECMDGOALS) PYTHON=/path/to/python3.11'." >&2
		exit 1
	}
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || {
		echo "'$(PYTHON)' has no venv module: install it (Debian, Ubuntu: python3.11-venv)." >&2
		exit 1
	}
	[ "$$(uname -sm)" = "Linux x86_64" ] || {
		echo "The locked versions are for Linux on x86_64; this is $$(uname -sm)." >&2
		exit 1
	}
	echo "Setting up $(VENV): at most $$(sed -n 's/^# download: //p' $(LOCK)) to download, $$(sed -n 's/^# disk: //p' $(LOCK)) on disk."
	start=$$SECONDS
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(READY)
	echo "$(VENV) is ready after $$((SECONDS - start)) s."

demo: setup ## segment real images sent by DICOM from a simulated archive; results under demo/
	@$(BIN)/python -m app.demo --output demo

test: setup lint ## the tests that every machine can run
	@$(BIN)/python -m pytest -m "$(QUICK)"

test-all: setup ## lint, every test with real peers and faults, the time of each part
	@failed=0
	begin=$$SECONDS
	part() {
		local start=$$SECONDS name=$$1
		shift
		timeout --foreground --kill-after=30 $(LONGEST_PART) "$$@" && verdict=passed || { verdict=FAILED; failed=1; }
		times+="$$(printf '%-8s %-7s %5d s' "$$name" "$$verdict" $$((SECONDS - start)))"$$'\n'
	}
	times=""
	part lint $(MAKE) --no-print-directory lint
	part quick $(BIN)/python -m pytest -m "$(QUICK)"
	part slow $(BIN)/python -m pytest --ignore=tests/benchmarks -m "slow and not peers and not faults"
	part peers $(BIN)/python -m pytest -m "peers and not faults"
	part faults $(BIN)/python -m pytest -m "faults"
	printf '%s%-16s %5d s\n' "$$times" total $$((SECONDS - begin))
	exit $$failed

viewer: $(VIEWER)/node_modules/.ready ## install the viewer that the tests talk to: OHIF, cornerstone, a browser's remote control

# The viewer is published built, with dependencies that are not published: so it is unpacked, not installed.
$(VIEWER)/node_modules/.ready: $(VIEWER)/package-lock.json Makefile
	@cd $(VIEWER)
	npm ci
	tarball=$$(npm pack --silent --pack-destination node_modules $(OHIF))
	sha512sum --check --quiet <<< "$(OHIF_SHA512)  node_modules/$$tarball"
	mkdir -p node_modules/@ohif/app
	tar -xzf "node_modules/$$tarball" -C node_modules/@ohif/app --strip-components=1 package/LICENSE package/dist
	rm "node_modules/$$tarball"
	touch node_modules/.ready

pictures: viewer demo ## what `make demo` made, as OHIF shows it, into docs/images
	@$(BIN)/python -m tests.interop.pictures demo docs/images

lint: setup ## ruff and mypy --strict
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## let ruff put the code in order
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: setup ## seconds per stage, and time, size and memory of results, on this machine; ENSEMBLE_MEMBERS=30 for a whole ensemble, which takes hours
	@ENSEMBLE_MEMBERS=$(ENSEMBLE_MEMBERS) ENSEMBLE_SLICES=$(ENSEMBLE_SLICES) $(BIN)/python -m pytest tests/benchmarks --override-ini addopts="--import-mode=importlib" -s

lock: ## resolve requirements*.in anew, with hashes, and measure download and disk
	@$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet $(LOCK_TOOLS)
	.cache/lock/bin/python packaging/lock.py --python "$$(command -v $(PYTHON))"

clean: ## remove what make made (results under demo/ too)
	@rm -rf $(VENV) .cache $(VIEWER)/node_modules build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
