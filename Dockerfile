# Two images: `train` runs jobs on Ray; `operator` has neither PyTorch nor Ray.
#
#     make images                                                   with buildah or docker, whichever is there
#     docker build --target train --tag raygen-train .
#
# BASE is any Debian with python3 (3.11 or newer), its venv module and ca-certificates.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS base
ENV PATH=/opt/raygen/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 1000 raygen && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp raygen

# uv, and the requirements of each image; nothing of this stage reaches an image.
FROM base AS tools
# The system's certificates, which those of a company's own proxy may have joined.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    UV_SYSTEM_CERTS=1
COPY constraints.txt pyproject.toml /src/
COPY tools/requirements.py /src/tools/
WORKDIR /src
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --quiet --no-cache-dir --constraint constraints.txt uv
# The versions that an image holds, and no others: a change of other ones leaves its layers as they are.
RUN for image in train operator; do \
      python3 tools/requirements.py "$image" > "$image.in" \
      && /opt/tools/bin/uv pip compile --quiet --no-header --no-annotate --constraint constraints.txt \
        --output-file "$image.txt" "$image.in" || exit 1; \
    done
RUN python3 -m venv --without-pip /opt/raygen

FROM tools AS wheel
COPY README.md LICENSE CHANGELOG.md /src/
COPY raygen /src/raygen
RUN /opt/tools/bin/uv build --quiet --wheel --build-constraints constraints.txt --out-dir /wheels . \
    && /opt/tools/bin/uv pip install --quiet --no-deps --compile-bytecode --python /opt/raygen/bin/python \
        --prefix /project/opt/raygen /wheels/*.whl

FROM base AS train
# KubeRay's probes of a pod's health run wget.
RUN apt-get update -qq && apt-get install -qq --no-install-recommends wget >/dev/null && apt-get clean && rm -rf /var/lib/apt/lists/*
# All dependencies as one layer, which stays where it is when the project changes.
COPY --from=tools /src/train.txt /opt/requirements/
RUN --mount=type=bind,from=tools,source=/opt,target=/mnt/opt \
    cp -a /mnt/opt/raygen /opt/raygen \
    && UV_SYSTEM_CERTS=1 /mnt/opt/tools/bin/uv pip install --quiet --no-cache --compile-bytecode --link-mode=copy \
        --no-deps --python /opt/raygen/bin/python --requirement /opt/requirements/train.txt
# KubeRay has a pod's init container wait for the head in a loop of bash. The first process of a container ignores SIGTERM unless it
# says otherwise, so a pod that is deleted meanwhile would be there for all of its time to stop.
RUN printf '%s\n' \
      'case $BASH_EXECUTION_STRING in' \
      '*"ray health-check"*)' \
      '    trap "exit 143" TERM' \
      '    ray() { command ray "$@" & wait $!; }' \
      '    sleep() { command sleep "$@" & wait $!; }' \
      '    ;;' \
      'esac' > /opt/raygen/waiting.bash
ENV BASH_ENV=/opt/raygen/waiting.bash
COPY --from=wheel /project/ /
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="raygen-train" \
      org.opencontainers.image.description="Trains generative models on Ray" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# At its end `ray start` would wait for up to 30 s for a head that may have gone before; what for, a pod's preStop hook has seen to.
# A pod whose root is read-only has /tmp as a volume; what programs write at home goes there. A cluster may run it as any
# user, of whom /etc/passwd knows nothing: whatever asks for the name (Python's getpass) takes it from USER.
ENV HOME=/tmp \
    USER=raygen \
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
# Numbers, by which a kubelet knows that this is not root.
USER 1000:1000
WORKDIR /tmp
CMD ["raygen", "--help"]

FROM base AS operator
COPY --from=tools /src/operator.txt /opt/requirements/
RUN --mount=type=bind,from=tools,source=/opt,target=/mnt/opt \
    cp -a /mnt/opt/raygen /opt/raygen \
    && UV_SYSTEM_CERTS=1 /mnt/opt/tools/bin/uv pip install --quiet --no-cache --link-mode=copy \
        --no-deps --python /opt/raygen/bin/python --requirement /opt/requirements/operator.txt \
    # Byte code of what is used: that of the whole Kubernetes client would make the image half as large again.
    && PYTHONDONTWRITEBYTECODE= /opt/raygen/bin/python -c \
        "import kubernetes.client, kubernetes.config, kubernetes.stream, prometheus_client, pydantic, rich.console, urllib3, yaml"
COPY --from=wheel /project/ /
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="raygen-operator" \
      org.opencontainers.image.description="Runs raygen's jobs on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV HOME=/tmp \
    USER=raygen
USER 1000:1000
WORKDIR /tmp
CMD ["raygen", "--help"]
