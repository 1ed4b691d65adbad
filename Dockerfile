# docker build --target cpu --tag crowd .        (or --target cuda, for a machine with an NVIDIA GPU)
# docker run --rm --publish 8888:8888 --volume crowd:/crowd crowd
#                                                JupyterLab at the address that it prints; --gpus all with cuda;
#                                                what is changed and computed stays in the volume
# docker run --rm crowd make test                any other command
FROM python:3.12-slim AS base
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git make \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 crowd \
 && mkdir /opt/crowd /crowd /home/crowd/.cache \
 && chown crowd /opt/crowd /crowd /home/crowd/.cache
# make and install.py take the environment in VENV for theirs, so that a folder mounted over the project cannot hide it
ENV VENV=/opt/crowd PATH=/opt/crowd/bin:$PATH
USER crowd
WORKDIR /crowd
COPY --chown=crowd . .
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN --mount=type=cache,target=/home/crowd/.cache,uid=1000 python install.py --gpu "$VENV"

FROM base AS cpu
RUN --mount=type=cache,target=/home/crowd/.cache,uid=1000 python install.py --cpu "$VENV"
