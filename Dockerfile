# Two images: core runs a finished model, train trains one. Neither needs root, and neither holds a model.
#
#     docker build --target core  --tag semilla:core .
#     docker build --target train --tag semilla:train .
#     docker run --rm --volume "$PWD:/work" semilla:train run --corpus-source sample --minutes 3
#
# The folder that is mounted must be writable for the user 1000; --user "$(id -u)" takes yours.
# --build-arg TORCH_INDEX=ADDRESS takes torch from another package index than PyTorch's for the CPU.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check "hatchling>=1.27" \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && mv requirements-torch.txt /wheels

FROM python:3.11-slim-bookworm AS core
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 semilla && mkdir /work && chown semilla /work
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-compile --disable-pip-version-check /wheels/*.whl
WORKDIR /work
USER 1000
ENTRYPOINT ["semilla"]
CMD ["--help"]

FROM core AS train
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
USER 0
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --requirement /wheels/requirements-torch.txt --index-url "$TORCH_INDEX" \
    && pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --constraint /wheels/requirements-torch.txt "$(ls /wheels/*.whl)[train,export]"
USER 1000
