# Everything here bootstraps itself: a fresh machine needs python3 (>= 3.11) and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
TIMES ?= 1
URL ?= http://127.0.0.1:8088
USERS ?= 20
DURATION_S ?= 60
TOOLS := .tools
UV := $(TOOLS)/bin/uv
UV_VERSION := 0.13.9
BIN := .venv/bin

# Ray would otherwise rebuild the environment on every worker when it is started under uv.
export RAY_ENABLE_UV_RUN_RUNTIME_ENV := 0
export RAY_USAGE_STATS_ENABLED := 0
export UV_PYTHON_DOWNLOADS := never

.PHONY: help install page demo serve stop test check format openapi screenshots docs bench drills fuzz alerts load versions mutants image test-image cluster-drills clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.venv/.installed: uv.lock pyproject.toml install.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@$(PYTHON) install.py $(UV_VERSION)
	@touch $@

install: page ## set up the virtual environment, and build the console

page: .venv/.installed ## build the console if its source is newer
	@$(BIN)/python console/build.py

demo: page ## start everything on port 8088, rebalance a simulated book, stay up; ARGS="--prices FILE"
	@exec $(BIN)/ordergen demo $(ARGS)

serve: page ## start the service alone (settings: environment or serve_config.yaml)
	@exec $(BIN)/ordergen serve $(ARGS)

stop: .venv/.installed ## stop the embedded database that `serve run` left running; its data stays
	@$(BIN)/ordergen stop

# Two at a time but for those that start Ray or signal a service of their own, which need the machine.
ALONE := tests/launch

test: page ## every test, on a real database, a real Ray cluster and a real browser; ARGS="tests/rules" for a part
	@$(BIN)/python -m tests.page.browser.install --unless-found
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@failed=0; $(BIN)/python console/build.py units || failed=1; \
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not cluster and not apart" $(ALONE:%=--ignore=%) || failed=1; \
	$(BIN)/pytest -m "cluster and not apart" || failed=1; \
	$(BIN)/pytest $(ALONE) || failed=1; exit $$failed
endif

screenshots: page ## draw the console's pictures in docs/pictures, from the simulated market
	@$(BIN)/python -m tests.page.browser.install --unless-found
	@$(BIN)/python -m tests.page.screenshots

$(TOOLS)/chromium: .venv/.installed
	@$(BIN)/python -m tests.page.browser.install

check: page ## the static gates
	$(UV) lock --check --quiet
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m serve_app.api.reference --check
	$(BIN)/python console/build.py check
	$(BIN)/deptry .
	$(BIN)/typos
	$(BIN)/hadolint Dockerfile
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/fault.yml .github/ISSUE_TEMPLATE/wish.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/zensical build --strict --clean

format: .venv/.installed ## format and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python console/build.py format

openapi: .venv/.installed ## write docs/openapi.json and docs/problems from the code
	$(BIN)/python -m serve_app.api.reference

docs: .venv/.installed ## build the documentation as a site in site/; a link that leads nowhere fails
	$(BIN)/zensical build --strict --clean

bench: .venv/.installed ## the benchmarks; each prints a table
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

drills: page ## processes, nodes, databases and upstreams broken in the middle of runs, TIMES=10 in a row
	@$(BIN)/python -m tests.page.browser.install --unless-found
	@set -e; for time in $$(seq $(TIMES)); do for drill in $(filter-out %/test_versions.py,$(wildcard tests/drills/test_*.py)); do \
	  echo "== $$drill, $$time of $(TIMES)"; $(BIN)/pytest -m apart $$drill $(ARGS); done; done

fuzz: .venv/.installed ## schemathesis against the service, in process and running
	@$(BIN)/pytest --numprocesses 2 -m apart tests/api/test_conformance.py $(ARGS)
	@$(BIN)/pytest -m apart tests/end_to_end/test_hostile.py $(ARGS)

# Prometheus' own tool: that of PROMTOOL, one on the PATH, or without root from the archive of Debian or Ubuntu.
$(TOOLS)/promtool: .venv/.installed
	@set -e; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; cd "$$d"; \
	  apt-get download --quiet prometheus >/dev/null && dpkg -x prometheus_*.deb . \
	  || { echo "promtool is missing: install Prometheus, or set PROMTOOL to its path"; exit 1; }; \
	  install usr/bin/promtool "$(CURDIR)/$(TOOLS)/promtool"

alerts: .venv/.installed ## the alerts tried on series by promtool
	@[ -n "$$PROMTOOL" ] || command -v promtool >/dev/null || $(MAKE) --no-print-directory $(TOOLS)/promtool
	@$(BIN)/pytest -m apart tests/alerts $(ARGS)

load: .venv/.installed ## USERS requests a second on the service at URL for DURATION_S, with a report
	@mkdir -p .cache/load
	@$(BIN)/locust -f benchmarks/load.py --headless --host $(URL) --users $(USERS) --spawn-rate $(USERS) \
	  --run-time $(DURATION_S)s --only-summary --html .cache/load/report.html --csv .cache/load/report $(ARGS)

versions: .venv/.installed ## a database written by the version FROM=REVISION and by this one, in turn
	@[ -n "$(FROM)" ] || { echo "make versions FROM=REVISION: the version to upgrade from"; exit 1; }
	@FROM=$(FROM) $(BIN)/pytest -m apart tests/drills/test_versions.py $(ARGS)

mutants: .venv/.installed ## small changes of the engine that no test notices, two hours; ARGS="--every 10"
	@$(BIN)/python tests/engine_checks/mutants.py $(ARGS)

image: .venv/.installed ## the container image and its bill of materials; ENGINE=docker BASE=IMAGE EXTRAS="--extra traces"
	@$(BIN)/python -m container.build

test-image: .venv/.installed ## the image, run as a cluster runs it: size, user, read-only root, a run, stop
	@$(BIN)/pytest -m container tests/container $(ARGS)

cluster-drills: .venv/.installed ## the image on a head and two workers in networks of their own, and parts of them lost
	@$(BIN)/pytest -m container tests/cluster_drills $(ARGS)

clean: ## remove what the commands above made (not your data)
	rm -rf .venv $(TOOLS) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache .containers site build dist console/node_modules console/src/schema.d.ts serve_app/web/page
