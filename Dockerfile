# A worker of the role in TRAFFICAPP_WORKER__ROLE. The servers are not in it, and nothing to train with.

# What the browser loads of others' libraries; nothing else of this stage goes on.
FROM node:24-slim AS dashboard

COPY web /src/web
WORKDIR /src/web/dashboard
RUN npm ci && node vendor.mjs client/vendor && node pack.mjs client


FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/trafficapp
ENV PATH=/opt/trafficapp/bin:$PATH

# The packages change less often than the code, so they are a layer of their own.
COPY requirements/worker.txt /src/requirements/worker.txt
RUN pip install --require-hashes -r /src/requirements/worker.txt

COPY pyproject.toml README.md LICENSE /src/
COPY models /src/models
COPY trafficapp /src/trafficapp
COPY agents /src/agents
COPY web /src/web
COPY --from=dashboard /src/web/dashboard/client/vendor /src/web/dashboard/client/vendor
RUN pip install --no-deps --no-build-isolation /src && pip uninstall --yes setuptools pip


FROM python:3.12-slim

# For the nightly backup: a pg_dump that is older than the server does not dump it, and Debian's is.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates extrepo \
    && extrepo enable postgresql \
    && apt-get update && apt-get install --yes --no-install-recommends postgresql-client-18 \
    && apt-get purge --yes --auto-remove extrepo && rm -rf /var/lib/apt/lists/*

# Volumes that are mounted over these folders take their owner.
RUN useradd --system --uid 10001 --home-dir /var/lib/trafficapp --create-home trafficapp \
    && install --directory --owner=trafficapp --mode=700 /var/lib/trafficapp/models /var/lib/trafficapp/backups \
        /var/lib/trafficapp/reports /var/lib/trafficapp/lake
COPY --from=build /opt/trafficapp /opt/trafficapp
COPY faust.yml /etc/trafficapp/faust.yml

# The local tables in TRAFFICAPP_DATA_DIR can be rebuilt from Kafka: they need no volume.
# Inside the container the web server must listen on every address; what is published decides who can reach it.
ENV PATH=/opt/trafficapp/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRAFFICAPP_CONFIG=/etc/trafficapp/faust.yml \
    TRAFFICAPP_DATA_DIR=/var/lib/trafficapp/data \
    TRAFFICAPP_FORECAST__MODELS_DIR=/var/lib/trafficapp/models \
    TRAFFICAPP_BACKUP__FOLDER=/var/lib/trafficapp/backups \
    TRAFFICAPP_REPORTS__FOLDER=/var/lib/trafficapp/reports \
    TRAFFICAPP_WEB__HOST=0.0.0.0 \
    TRAFFICAPP_WEB__PORT=6066

USER trafficapp
WORKDIR /var/lib/trafficapp
EXPOSE 6066
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"TRAFFICAPP_WEB__PORT\"]}/health/ready', timeout=4)"]

CMD ["faust", "-A", "trafficapp", "worker", "-l", "info"]
