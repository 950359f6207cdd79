# The deliverable: the checkout in an image, owned by root, run by nobody special.
FROM python:3.11-slim-bookworm

# serve.lock pins onnxruntime for CPU. For a GPU image install the `gpu` extra instead of it,
# never beside it: the two overwrite each other.
WORKDIR /app
COPY requirements/serve.lock requirements/serve.lock
RUN pip install --no-cache-dir --require-hashes -r requirements/serve.lock

COPY LICENSE pyproject.toml appliance.yaml ./
COPY config config
COPY dicom_sr dicom_sr
COPY inference inference
COPY models models
COPY node node
COPY scp scp

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
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
