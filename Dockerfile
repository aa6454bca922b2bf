# docker build --tag copilotkit-runtime .
# docker build --tag copilotkit-runtime --build-arg EXTRAS=crewai,mcp .
# docker run --publish 8000:8000 --volume "$PWD:/app:ro" --volume copilotkit:/data copilotkit-runtime app.py:runtime
FROM python:3.12-slim AS build

# More extras than those of requirements/image.txt.
ARG EXTRAS=""

WORKDIR /source
COPY requirements ./requirements
RUN pip install --no-cache-dir --require-hashes --requirement requirements/uv.txt --requirement requirements/build.txt
RUN uv venv /runtime && \
    uv pip sync --python /runtime/bin/python --no-cache --compile-bytecode --require-hashes requirements/image.txt
COPY . .
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . && \
    uv pip install --python /runtime/bin/python --no-cache --compile-bytecode --constraint requirements/dev.txt \
        "$(echo /wheels/*.whl)[$EXTRAS]"

FROM python:3.12-slim

RUN useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin runtime
COPY --from=build /runtime /runtime
ENV PATH=/runtime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    COPILOTKIT_HOST=0.0.0.0 \
    COPILOTKIT_ENV=production \
    COPILOTKIT_LOG_FORMAT=json \
    COPILOTKIT_STORE=sqlite:////data/copilotkit.sqlite
WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('COPILOTKIT_PORT') or 8000}/health\", timeout=4)"]
ENTRYPOINT ["copilotkit-runtime", "serve"]
