# Build for CPUs:         docker build -t earlyrobust .
# Build for NVIDIA GPUs:  docker build -t earlyrobust --build-arg TORCH=https://download.pytorch.org/whl/cu128 .
# Run on your file:       docker run --rm -v "$PWD:/work" earlyrobust run --train-file reviews.csv --output runs/reviews
FROM python:3.12-slim
ARG TORCH=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch --index-url "$TORCH"
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir "/source[demo,export]" && rm -r /source
WORKDIR /work
ENTRYPOINT ["earlyrobust"]
