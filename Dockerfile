# CPU image, amd64 and arm64. docker build -t face-service:cpu .
FROM python:3.12.13-slim-trixie AS builder
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
# A virtual environment names its own folder: the same one in both stages.
WORKDIR /app
RUN uv venv
# Dependencies before the code: their layer outlives every edit of it.
COPY requirements.lock requirements-heif.lock ./
RUN uv pip install --require-hashes -r requirements.lock \
 && uv pip install --no-deps --require-hashes -r requirements-heif.lock
COPY LICENSE README.md pyproject.toml ./
COPY wheels ./wheels
COPY src ./src
RUN uv pip install --no-deps .

FROM python:3.12.13-slim-trixie
# curl is for people, and for health checks of their own; whichever version Debian has.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home app \
 && install -d -o app -g app /app/models
WORKDIR /app
COPY --from=builder /app/.venv ./.venv
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MODEL_CACHE_DIR=/app/models
VOLUME /app/models
USER 1000:1000
EXPOSE 8100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m --retries=3 \
    CMD ["python", "-m", "face_service.healthcheck"]
CMD ["python", "-m", "face_service.main"]
