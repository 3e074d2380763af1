# One image, three commands: `netwright migrate`, `netwright serve`, `netwright worker`.
FROM python:3.11-slim

# An index that serves CPU builds of torch keeps the image small:
#   docker build --build-arg TORCH_INDEX=<url> -t netwright .
ARG TORCH_INDEX=""

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 1000 netwright && mkdir /data && chown netwright /data
WORKDIR /app

# Dependencies change rarely: installed from the metadata alone, they stay in a layer of their own.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir supernets predictors search service netwright \
    && for folder in supernets predictors search service netwright; do touch $folder/__init__.py; done \
    && pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -e '.[server]'

COPY supernets supernets
COPY predictors predictors
COPY search search
COPY service service
COPY netwright netwright
COPY migrations migrations
COPY zoo zoo

USER netwright
ENV NETWRIGHT_HOME=/data
VOLUME /data
ENTRYPOINT ["netwright"]
CMD ["serve"]
