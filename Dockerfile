# The program in a container: `docker run --rm IMAGE create --help`. docs/container.md has the rest.
#
# The image that it starts from, of any Python 3.11 or newer: a name with its digest pins it. Nothing but Python and pip is used.
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/bacalhau-spot
WORKDIR /build
# Settings of pip for this build, such as a mirror; the layer is not part of the final image.
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
COPY requirements-run.lock ./
RUN /opt/bacalhau-spot/bin/pip install -q --require-hashes --only-binary :all: -r requirements-run.lock
# Built and checked before by `.ci/image`: the same wheels that are published.
COPY dist/*.whl ./
RUN /opt/bacalhau-spot/bin/pip install -q --no-deps --no-index ./*.whl \
 && /opt/bacalhau-spot/bin/python -m compileall -q /opt/bacalhau-spot/lib \
 && /opt/bacalhau-spot/bin/pip check \
 && /opt/bacalhau-spot/bin/python -m pip uninstall -q -y pip

FROM ${BASE}
LABEL org.opencontainers.image.title="bacalhau-spot" \
      org.opencontainers.image.description="Run a Bacalhau compute cluster on AWS spot instances" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/bacalhau-spot /opt/bacalhau-spot
# A user with a home that any uid may write to: `docker run --user` keeps the owner of the files in /work.
RUN mkdir -p /home/spot /work && chmod 1777 /home/spot /work
ENV PATH=/opt/bacalhau-spot/bin:${PATH} HOME=/home/spot XDG_STATE_HOME=/home/spot/state PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["bacalhau-spot"]
CMD ["--help"]
