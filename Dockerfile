# The Python on which the tests run. Every node of a Ray cluster needs the same one: use this image for all.
# In a stage of its own, because Dependabot renews a digest in a FROM, and none in an ARG.
ARG PYTHON_IMAGE=pinned
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS pinned

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
# `--extra embedded` adds database servers for a service without MONGODB_URI (mongod is SSPL, SecantusDB GPL-2.0).
ARG EXTRAS=""
ENV UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1
# node, which builds the console, is linked against libstdc++; container/slim.py calls strip.
# Without versions, because a version leaves the archive with the next security update.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends binutils libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --disable-pip-version-check uv==${UV_VERSION}
WORKDIR /app
# Dependencies first: they change less often than the code, and this layer is the large one.
COPY pyproject.toml uv.lock ./
COPY container/slim.py ./container/slim.py
# Solvers that CVXPY depends on and the engine never calls, and packages for virtual environments and profiles that Ray
# makes on demand, on disks that are read-only here.
ARG UNUSED="--no-install-package scs --no-install-package clarabel --no-install-package osqp \
    --no-install-package sparsediffpy --no-install-package joblib \
    --no-install-package virtualenv --no-install-package distlib --no-install-package py-spy"
# hadolint ignore=SC2086
RUN uv sync --frozen --no-dev --extra serve --no-install-project ${UNUSED} ${EXTRAS} \
    && python container/slim.py .venv/lib/python3.11/site-packages
COPY README.md LICENSE serve_config.yaml ./
COPY optimization ./optimization
COPY storage ./storage
COPY serve_app ./serve_app
# The build makes the console's page from these.
COPY console ./console
COPY docs/openapi.json ./docs/openapi.json
# hadolint ignore=SC2086
RUN uv sync --frozen --no-dev --extra serve --no-editable ${UNUSED} ${EXTRAS}

FROM ${PYTHON_IMAGE} AS run
LABEL org.opencontainers.image.title="Order Generation Service" \
      org.opencontainers.image.licenses="Apache-2.0"
ARG EXTRAS=""
# The embedded mongod is linked against libcurl.
# Without a version, because a version leaves the archive with the next security update.
# hadolint ignore=DL3008
RUN if [ -n "${EXTRAS}" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends libcurl4 && rm -rf /var/lib/apt/lists/*; \
    fi
RUN groupadd --gid 10001 ordergen \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin ordergen \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /app/.venv /app/.venv
COPY serve_config.yaml /app/serve_config.yaml
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8088 \
    DATA_DIRECTORY=/data \
    HOME=/tmp \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8088
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["ordergen", "serve"]
