# The deliverable: the checkout in an image, owned by root, run by nobody special.
#   docker build -t vigie .                                         CPU
#   docker build -t vigie --build-arg RUNTIME=gpu .                 NVIDIA GPU (CUDA)
#   docker build -t vigie --build-arg RUNTIME=gpu --build-arg TENSORRT=yes .
# A GPU image runs with `docker run --gpus all`; the driver is the host's. config/RUNTIMES.md
FROM python:3.11-slim-bookworm

ARG RUNTIME=cpu
ARG TENSORRT=no
ARG TRITON=no

# onnxruntime (serve.lock) and onnxruntime-gpu (serve-gpu.lock) overwrite each other: one of them.
WORKDIR /app
COPY requirements/serve.lock requirements/serve-gpu.lock requirements/
RUN case "$RUNTIME" in \
        cpu) lock=serve.lock ;; \
        gpu) lock=serve-gpu.lock ;; \
        *) echo "RUNTIME is cpu or gpu, not $RUNTIME" >&2; exit 2 ;; \
    esac \
    && pip install --no-cache-dir --require-hashes -r "requirements/$lock"
# TensorRT of the major version that this ONNX Runtime links (libnvinfer.so.10), from NVIDIA's index.
RUN if [ "$TENSORRT" = yes ]; then \
        pip install --no-cache-dir --extra-index-url https://pypi.nvidia.com \
            "tensorrt-cu13>=10.14,<11"; \
    fi
RUN if [ "$TRITON" = yes ]; then pip install --no-cache-dir "tritonclient[grpc]>=2.73,<3"; fi

COPY LICENSE pyproject.toml appliance.yaml ./
COPY config config
COPY dicom_sr dicom_sr
COPY inference inference
COPY models models
COPY node node
COPY scp scp

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN printf '#!/bin/sh\nexec python -m node "$@"\n' > /usr/local/bin/vigie \
    && chmod 755 /usr/local/bin/vigie \
    && useradd --system --create-home --uid 10104 vigie \
    && mkdir -p /app/var && chown vigie /app/var
USER vigie
VOLUME /app/var
EXPOSE 11112 8085
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8085/healthz', timeout=4)"
ENTRYPOINT ["python", "-m", "node"]
CMD ["serve"]
