# docker build --tag copilotkit-runtime .
# docker run --publish 8000:8000 --volume "$PWD:/app:ro" --volume copilotkit:/data copilotkit-runtime app.py:runtime
FROM python:3.12-slim AS build

ARG EXTRAS=langgraph,models,openai,anthropic,agui,remote,sqlite,redis,postgres,auth,metrics,otel

RUN pip install --no-cache-dir uv
WORKDIR /source
COPY requirements ./requirements
RUN uv venv /runtime
COPY . .
RUN uv pip install --python /runtime/bin/python --no-cache --constraint requirements/dev.txt ".[$EXTRAS]"

FROM python:3.12-slim

RUN useradd --system --uid 10001 --home-dir /data --create-home runtime
COPY --from=build /runtime /runtime
ENV PATH=/runtime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    COPILOTKIT_HOST=0.0.0.0 \
    COPILOTKIT_ENV=production \
    COPILOTKIT_LOG_FORMAT=json \
    COPILOTKIT_STORE=sqlite:////data/copilotkit.sqlite
WORKDIR /app
USER runtime
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('COPILOTKIT_PORT') or 8000}/health\", timeout=4)"]
ENTRYPOINT ["copilotkit-runtime", "serve"]
