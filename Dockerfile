# One image for every stage; the command says which. See docker-compose.yml.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/spendstream
ENV PATH=/opt/spendstream/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The lock also holds the development tools: the image is larger for it, and is exactly what was
# tested. It comes first, so that a change of the code does not install everything anew.
COPY requirements.lock .
RUN pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY sinks sinks
COPY reports reports
COPY streams streams
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home spendstream
COPY --from=build /opt/spendstream /opt/spendstream
ENV PATH=/opt/spendstream/bin:$PATH PYTHONUNBUFFERED=1
USER spendstream
WORKDIR /home/spendstream
ENTRYPOINT ["spendstream"]
