# Everything a person can do here; `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --quiet --require-hashes
# The project itself, in place. Its build tool is in the lock files too, so nothing is fetched unchecked.
INSTALL_PROJECT := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
UV_VERSION := 0.13.8
# What the browser loads of others' libraries, and where they are put together.
DASHBOARD := web/dashboard
VENDOR := $(DASHBOARD)/client/vendor
CLIENT_SOURCES := $(wildcard $(DASHBOARD)/client/*.html $(DASHBOARD)/client/*/*.js $(DASHBOARD)/client/*/*/*.js $(DASHBOARD)/client/styles/*.css)
NPM_FOLDER := build/dashboard

WORKERS ?= 1
# empty: 6066, or what the data folder remembers
WEB_PORT ?=
RUNS ?= 20
SEED ?=
ARGS ?=
JOBS ?= 3
# Servers that are given are there once; each process of the tests starts its own otherwise. The order is that of
# tests/conftest.py: what takes longest begins first.
SIDE_BY_SIDE = $(if $(KAFKA_BOOTSTRAP_SERVERS)$(filter 1,$(JOBS)),,--numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder)
# Without torch tests/conftest.py leaves these out, and says so.
TESTS_THAT_TRAIN = $(wildcard tests/*/torch)
SEED_OPTION = $(if $(SEED),--seed $(SEED))

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Options go behind a target: make demo WORKERS=2 WEB_PORT=8080"

.PHONY: setup
setup: $(VENV)/.run-stamp $(VENDOR)/.stamp $(VENDOR)/pack/manifest.json $(VENV)/.kafka-stamp ## Install what running needs into .venv (Python 3.11 to 3.13; PYTHON=... chooses one)

.PHONY: demo
demo: setup ## Start everything with the simulated city; prints the addresses to open (ARGS="--source recording")
	@exec $(BIN)/trafficapp up --workers $(WORKERS) $(if $(WEB_PORT),--web-port $(WEB_PORT)) $(ARGS)

.PHONY: clean
clean: ## Remove .venv, build results and caches; stored traffic stays (`trafficapp stack --reset` clears that)
	rm -rf $(VENV) $(VENDOR) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: wheel
wheel: setup-dev ## Build the wheel with all that the dashboard needs, into dist
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: audit
audit: setup-dev ## Licences, lists of Python packages (build/sbom-*.cdx.json), and known holes as far as their services answer
	@python3 -m venv build/audit && build/audit/bin/pip install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@for lock in worker run; do build/audit/bin/cyclonedx-py requirements requirements/$$lock.txt --output-file build/sbom-$$lock.cdx.json; done
	@ls -l build/sbom-*.cdx.json
	@failed=0; $(BIN)/python -m tests.licences || failed=1; \
	said=$$(build/audit/bin/pip-audit --requirement requirements/run.txt --require-hashes --disable-pip 2>&1) && ! grep -q "could not be audited" <<< "$$said" && echo "Python: $$said" \
	  || if grep -q "^Found .* known vulnerabilit" <<< "$$said"; then echo "$$said"; failed=1; \
	  else echo "Python packages were NOT checked for known holes: the service that tells them does not answer here"; fi; \
	said=$$(cd $(DASHBOARD) && npm audit --package-lock-only 2>&1) && echo "dashboard: $$said" \
	  || if grep -q "endpoint returned an error\|ENOTFOUND\|ECONNREFUSED" <<< "$$said"; then echo "packages of the dashboard were NOT checked for known holes: the service does not answer here"; \
	  else echo "$$said"; failed=1; fi; exit $$failed

.PHONY: pin-images
pin-images: ## Where Docker is: write docker-compose.pinned.yml, which names the images of servers by digest
	@command -v docker >/dev/null || { echo "docker is not here: digests can be told by a registry of images alone" >&2; exit 1; }
	@{ echo "services:"; for service in kafka postgres redis kafka-ui; do \
	  image=$$(awk -v head="  $$service:" '$$0 == head { found = 1 } found && $$1 == "image:" { print $$2; exit }' docker-compose.yml); \
	  docker pull --quiet "$$image" >/dev/null; \
	  printf '  %s:\n    image: %s\n' "$$service" "$$(docker image inspect --format '{{index .RepoDigests 0}}' "$$image")"; \
	done; } > docker-compose.pinned.yml.new
	@mv docker-compose.pinned.yml.new docker-compose.pinned.yml && cat docker-compose.pinned.yml

##@ Develop

.PHONY: setup-dev
setup-dev: $(VENV)/.dev-stamp $(VENDOR)/.stamp $(VENDOR)/pack/manifest.json $(VENV)/.kafka-stamp ## Install what tests, checks and benchmarks need as well

.PHONY: setup-train
setup-train: $(VENV)/.train-stamp ## Install what training needs, too: torch, 5 GB on Linux

.PHONY: test
test: setup-dev ## Run the tests against real servers, three files at a time (ARGS="-k windows" runs some, JOBS=1 one by one)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

.PHONY: test-train
test-train: setup-train ## Run the tests that train; from then on `make test` runs them as well
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(TESTS_THAT_TRAIN) $(ARGS)

.PHONY: lint
lint: setup-dev ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: setup-dev ## Put the code into the common format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: hooks
hooks: setup-dev ## Run the checks at every git commit
	$(BIN)/pre-commit install

.PHONY: lock
lock: build/lock/bin/uv ## Choose the newest allowed versions again and write requirements/ with their hashes
	bash requirements/lock.sh build/lock/bin/uv

##@ Measure and verify

.PHONY: bench
bench: setup-dev ## Measure speed side by side with others, latency and memory; writes build/bench.json
	$(BIN)/python -m tests.bench $(ARGS)
	$(BIN)/python -m tests.bench.latency
	$(BIN)/python -m tests.bench.memory

.PHONY: bench-history
bench-history: setup-dev ## Fill a month of 200 cameras (22 GB, once) and ask it with 50 clients; writes build/history.json
	$(BIN)/python -m tests.bench.history load $(ARGS)
	$(BIN)/python -m tests.bench.history measure $(ARGS)

.PHONY: bench-alarms
bench-alarms: setup-dev ## Count alarms of three simulated mornings and a night, before and after grouping; writes build/alarms.json
	$(BIN)/python -m tests.bench.alarms $(ARGS)

.PHONY: bench-incidents
bench-incidents: setup-dev ## Suspect incidents on 14 simulated days beside algorithms of the field; writes build/incidents.json
	$(BIN)/python -m tests.bench.incidents $(ARGS)

.PHONY: bench-sockets
bench-sockets: setup-dev ## Measure 2,000 WebSocket clients on one worker, a tenth of them asleep; writes build/sockets.json
	$(BIN)/python -m tests.bench.sockets $(ARGS)

.PHONY: bench-routes
bench-routes: setup-dev ## Compare routes with scipy and networkx, and measure them; writes build/routes.json
	$(BIN)/python -m tests.bench.routes $(ARGS)

.PHONY: bench-chain
bench-chain: setup-dev ## Measure 1,247 roads from feed to predictions, graph and screen; writes build/chain.json
	$(BIN)/python -m tests.bench.chain $(ARGS)

.PHONY: bench-city
bench-city: setup-dev ## Measure all feeds of a city: µs a message by role, 20,000 a second for five minutes; writes build/city.json
	$(BIN)/python -m tests.bench.city $(ARGS)

.PHONY: bench-city-floor
bench-city-floor: setup-dev ## Measure what a message of each feed costs bare clients; writes build/city_floor.json
	$(BIN)/python -m tests.bench.city_floor $(ARGS)

.PHONY: bench-start
bench-start: setup-dev ## Measure CPU of commands, memory of workers and the demo's second start; writes build/start.json
	$(BIN)/python -m tests.bench.start $(ARGS)

.PHONY: bench-site
bench-site: setup-dev ## Measure one process of the role site beside processes of their own; writes build/site.json
	$(BIN)/python -m tests.bench.site $(ARGS)

.PHONY: bench-dashboard
bench-dashboard: setup-dev ## Measure the live map under 5,000 roads and 10,000 vehicles in Chromium for an hour; writes build/dashboard.json
	$(BIN)/python -m tests.bench.dashboard $(ARGS)

.PHONY: picture
picture: setup-dev ## Take the picture of the README from a running demo, with Chromium; writes docs/live-map.webp
	$(BIN)/python -m tests.web.dashboard.picture $(ARGS)

.PHONY: bench-lake
bench-lake: setup-dev ## Ask a month of windows and observations in the lake and in Postgres (1 GB); writes build/lake.json
	$(BIN)/python -m tests.bench.lake $(ARGS)

.PHONY: bench-matching
bench-matching: setup-dev ## Put GPS probes onto the road graph: share on the true edge, speed beside fastmm; ARGS names the file
	$(BIN)/python -m tests.bench.matching $(ARGS)

.PHONY: bench-forecast
bench-forecast: setup-train ## Fit every model with three seeds and compare them; writes build/forecast.json
	$(BIN)/python -m tests.bench.forecast $(ARGS)
	$(BIN)/python -m tests.bench.forecast_cameras

.PHONY: bench-forecast-live
bench-forecast-live: setup-dev ## Serve forecasts of days that no model was trained on, also 8 h off; writes build/forecast_live.json
	$(BIN)/python -m tests.bench.forecast_live $(ARGS)

.PHONY: shipped-cameras
shipped-cameras: setup-train ## Train the shipped model of cameras anew from simulated days
	@mkdir -p build/shipped
	$(BIN)/trafficapp simulate --history 16d --to 2026-03-22T23:00+00:00 --seed 1 \
	  --cameras-out build/shipped/cameras.parquet
	$(BIN)/trafficapp train --what cameras --from build/shipped/cameras.parquet --epochs 3 \
	  --out trafficapp/forecast/data/bologna-cameras

.PHONY: shipped-model
shipped-model: setup-train ## Train the shipped model of roads anew from fourteen simulated days
	@mkdir -p build/shipped
	$(BIN)/trafficapp simulate --history 14d --to 2026-03-16T00:00+01:00 --seed 1 \
	  --out build/shipped/roads.parquet --links-out build/shipped/links.parquet
	$(BIN)/trafficapp train --from build/shipped/roads.parquet --links build/shipped/links.parquet \
	  --zone Europe/Rome --out trafficapp/forecast/data/bologna-roads

.PHONY: verify-exact
verify-exact: setup-dev ## Replay a recording at full speed and compare every row with the truth
	$(BIN)/python -m tests.verification.exact $(ARGS)

.PHONY: verify-crash
verify-crash: setup-dev ## The same while worker, Kafka, Postgres and Redis are killed (SEED=n repeats a run)
	$(BIN)/python -m tests.verification.crash $(SEED_OPTION) $(ARGS)

.PHONY: verify-dirty
verify-dirty: setup-dev ## Shuffled, repeated, malformed and late input: rows, dead letters and counters (SEED=n)
	$(BIN)/python -m tests.verification.dirty $(SEED_OPTION) $(ARGS)

.PHONY: verify-hostile
verify-hostile: setup-dev ## Everything hostile at once while workers are killed: rows, letters, alerts, /health, memory (SEED=n)
	$(BIN)/python -m tests.verification.hostile $(SEED_OPTION) $(ARGS)

.PHONY: verify-load
verify-load: setup-dev ## One hostile client beside 50 honest ones: their p99, /health, administration, memory
	$(BIN)/python -m tests.verification.load $(ARGS)

.PHONY: verify-alerts
verify-alerts: setup-dev ## Waves of congestion, flapping and silence while workers are killed: every alert (SEED=n)
	$(BIN)/python -m tests.verification.alerts $(SEED_OPTION) $(ARGS)

.PHONY: verify-roads
verify-roads: setup-dev ## A road feed with jams and dirt while processes are killed: everything that follows from it (SEED=n)
	$(BIN)/python -m tests.verification.roads $(SEED_OPTION) $(ARGS)

.PHONY: verify-city
verify-city: setup-dev ## All feeds of a city with dirt while processes are killed: tables, keys, letters, alerts (SEED=n)
	$(BIN)/python -m tests.verification.city $(SEED_OPTION) $(ARGS)

.PHONY: verify-lake
verify-lake: setup-dev ## All topics into Parquet files while processes are killed: every offset once, and back into Postgres (SEED=n)
	$(BIN)/python -m tests.verification.lake $(SEED_OPTION) $(ARGS)

.PHONY: verify-riders
verify-riders: setup-dev ## 200,000 taps of riders with repeats and disorder while workers are killed: every window and surge (SEED=n)
	$(BIN)/python -m tests.verification.riders $(SEED_OPTION) $(ARGS)

.PHONY: verify-fleet
verify-fleet: setup-dev ## A day of 1,000 vehicles while workers are killed: every trip, zone, braking and speeding (SEED=n)
	$(BIN)/python -m tests.verification.fleet $(SEED_OPTION) $(ARGS)

.PHONY: verify-timetables
verify-timetables: setup-dev ## Replay a real timetable with delays, bunching, missed trips, breakdowns (SEED=n ARGS="--clock-change")
	$(BIN)/python -m tests.verification.timetables $(SEED_OPTION) $(ARGS)

.PHONY: verify-quality
verify-quality: setup-dev ## A day of 200 cameras, roads, stations and buses with known faults, against what is told of their health (SEED=n)
	$(BIN)/python -m tests.verification.quality $(SEED_OPTION) $(ARGS)
	$(BIN)/python -m tests.verification.quality_sources $(SEED_OPTION)

.PHONY: verify-rebalance
verify-rebalance: setup-dev ## Workers join, stop, freeze and are killed under load (RUNS=20 SEED=n ARGS=--all)
	$(BIN)/python -m tests.verification.rebalance --runs $(RUNS) $(SEED_OPTION) $(ARGS)

.PHONY: verify-api
verify-api: setup-dev ## Send 3,000 generated requests to a running worker, all checks on (SEED=n ARGS="--requests 9000")
	$(BIN)/python -m tests.verification.fuzz $(SEED_OPTION) $(ARGS)

# ---------------------------------------------------------------------------------------------

# A stamp is newer than the lock and pyproject.toml when what is installed is what they say.
$(VENV)/.run-stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what running needs into $(VENV); the first time this takes a minute or two."
	@$(INSTALL) -r requirements/run.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.dev-stamp: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what tests and checks need into $(VENV); the first time this takes a minute or two."
	@$(INSTALL) -r requirements/dev.txt
	@$(INSTALL_PROJECT)
	@touch $@ $(VENV)/.run-stamp

$(VENV)/.train-stamp: requirements/train.txt $(VENV)/.dev-stamp
	@echo "Installing what training needs into $(VENV); on Linux torch brings 5 GB."
	@$(INSTALL) -r requirements/train.txt
	@touch $@

# Who has servers of his own needs none of this, and without it Kafka starts, too.
$(VENV)/.kafka-stamp: trafficapp/stack/kafka-jars.lock | $(VENV)/.run-stamp
	@if [ -z "$${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then $(BIN)/trafficapp stack --prepare --data-dir $(CURDIR)/$(VENV)/kafka; fi && touch $@ || true

# The dashboard's libraries: npm checks them against the lock. A machine without Node gets it as a Python package.
$(VENDOR)/.stamp: $(DASHBOARD)/package.json $(DASHBOARD)/package-lock.json $(DASHBOARD)/vendor.mjs $(DASHBOARD)/libraries.js | $(VENV)/.run-stamp
	@echo "Fetching the libraries of the dashboard"
	@mkdir -p $(NPM_FOLDER)
	@cp $(DASHBOARD)/package.json $(DASHBOARD)/package-lock.json $(DASHBOARD)/.npmrc $(DASHBOARD)/vendor.mjs $(DASHBOARD)/libraries.js $(NPM_FOLDER)
	@if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)' >/dev/null 2>&1 || ! command -v npm >/dev/null; then \
	  $(INSTALL) -r requirements/node.txt; \
	  PATH="$(CURDIR)/$(BIN):$$PATH"; \
	fi; \
	cd $(NPM_FOLDER) && npm ci --silent && node vendor.mjs $(CURDIR)/$(VENDOR)
	@touch $@

# Our own modules and styles, joined for first visits; a worker whose pack is older than them serves them one by one.
$(VENDOR)/pack/manifest.json: $(VENDOR)/.stamp $(DASHBOARD)/pack.mjs $(CLIENT_SOURCES)
	@cp $(DASHBOARD)/pack.mjs $(NPM_FOLDER)
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)' >/dev/null 2>&1 || PATH="$(CURDIR)/$(BIN):$$PATH"; \
	cd $(NPM_FOLDER) && node pack.mjs $(CURDIR)/$(DASHBOARD)/client

# Not every `python3.12` on PATH is one: version managers leave names that only print an error,
# and some distributions leave out what makes virtual environments.
$(BIN)/python:
	@for candidate in $(if $(PYTHON),"$(PYTHON)",python3.12 python3.13 python3.11 python3); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	      >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$("$$candidate" --version)"; \
	    exec "$$candidate" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip was found$(if $(PYTHON), at $(PYTHON))." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3 python3-venv) or name it: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 1

build/lock/bin/uv:
	@python3 -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION)
