# One image, several commands: `netwright migrate`, `netwright serve`, `netwright worker`, `netwright backup`, …

# --- build: an environment with everything, without pip's caches and build tools ---
FROM python:3.11-slim AS build

# An index that serves CPU builds of torch keeps the image small:
#   docker build --build-arg TORCH_INDEX=<url> -t netwright .
ARG TORCH_INDEX=""
# server,s3 for artifacts in an S3 bucket.
ARG EXTRAS=server
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN python -m venv /opt/netwright
WORKDIR /app

# Dependencies change rarely: installed from the metadata alone, they stay in a layer of their own.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir supernets predictors search service netwright \
    && for folder in supernets predictors search service netwright; do touch $folder/__init__.py; done \
    && /opt/netwright/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -e ".[$EXTRAS]"

# --- run: Python, that environment and the code; no build tools ---
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 netwright && mkdir /data && chown netwright /data
WORKDIR /app
COPY --from=build /opt/netwright /opt/netwright
COPY --from=build /app /app
COPY supernets supernets
COPY predictors predictors
COPY search search
COPY service service
COPY netwright netwright
COPY migrations migrations
COPY zoo zoo

USER netwright
ENV PATH=/opt/netwright/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# What libraries keep; the rest of the file system may be read-only.
ENV HF_HOME=/data/cache/huggingface MPLCONFIGDIR=/tmp/matplotlib
ENV NETWRIGHT_HOME=/data
# Others reach a container's ports: it refuses every request without a key. `netwright migrate` prints the first one.
ENV NETWRIGHT_REQUIRE_KEY=true
ENV NETWRIGHT_HOST=0.0.0.0
ENV NETWRIGHT_LOG_FORMAT=json
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["netwright", "healthy"]
ENTRYPOINT ["netwright"]
CMD ["serve"]
