# One file, five images: receiver, console, worker, worker-cuda, simulator. Each runs as a user without rights on a read-only
# file system (see docker-compose.yml); /tmp is all they write to.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /venv
COPY requirements/light.txt requirements/light.txt
RUN /venv/bin/pip install --quiet -r requirements/light.txt
# A registry of models in S3: --build-arg EXTRAS=s3
ARG EXTRAS=
COPY pyproject.toml CHANGELOG.md LICENSE README.md ./
COPY integration integration
COPY worker worker
COPY model_export model_export
RUN /venv/bin/pip install --quiet --no-deps . \
 && if [ -n "$EXTRAS" ]; then /venv/bin/pip install --quiet ".[$EXTRAS]"; fi

FROM python:${PYTHON}-slim AS runtime
# Models fetched from a registry are kept here; a volume takes the folder's owner.
RUN useradd --system --uid 10001 --create-home presort \
 && mkdir -p /etc/presort/var/bundles && chown -R 10001 /etc/presort/var
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PRESORT_CONFIG=/etc/presort/presort.toml
USER 10001
WORKDIR /home/presort

FROM runtime AS receiver
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["gunicorn", "-c", "python:integration.receiver.gunicorn", "--bind", "0.0.0.0:8080"]

FROM runtime AS console
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8081/healthz', timeout=2)"]
CMD ["presort", "console", "--bind", "0.0.0.0:8081"]

FROM runtime AS worker
CMD ["presort-worker", "run"]

FROM runtime AS simulator
EXPOSE 8090
CMD ["presort", "simulate", "--host", "0.0.0.0", "--port", "8090"]

# The CUDA execution provider needs NVIDIA's libraries and the GPU build of onnxruntime, which carries the same module.
FROM nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04 AS cuda
RUN apt-get update --quiet=2 \
 && apt-get install --quiet=2 --yes --no-install-recommends python3.12 \
 && rm -rf /var/lib/apt/lists/*

FROM cuda AS build-cuda
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends python3.12-venv
WORKDIR /src
COPY requirements/light.txt requirements/light.txt
COPY pyproject.toml CHANGELOG.md LICENSE README.md ./
COPY integration integration
COPY worker worker
COPY model_export model_export
RUN python3.12 -m venv /venv \
 && /venv/bin/pip install --quiet --no-cache-dir -r requirements/light.txt \
 && /venv/bin/pip uninstall --quiet --yes onnxruntime \
 && /venv/bin/pip install --quiet --no-cache-dir "onnxruntime-gpu==1.32.0" \
 && /venv/bin/pip install --quiet --no-cache-dir --no-deps .

FROM cuda AS worker-cuda
RUN useradd --system --uid 10001 --create-home presort \
 && mkdir -p /etc/presort/var/bundles && chown -R 10001 /etc/presort/var
COPY --from=build-cuda /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PRESORT_CONFIG=/etc/presort/presort.toml
USER 10001
WORKDIR /home/presort
CMD ["presort-worker", "run"]
