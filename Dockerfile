# The whole front door in one image, to put in the place of marathon-lb's: HAProxy of the distribution, fastlb with the
# compiled hot path, tini. docs/container.md says what it takes and how small it is.
#   docker build -t fastlb .                        --build-arg BASE=debian:bookworm-slim takes another HAProxy
#   docker run --network host -e PORTS=9090 fastlb sse --health-check --group external --marathon http://marathon:8080
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates gcc libc6-dev python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements.lock ./
RUN python3 -m venv /opt/fastlb && /opt/fastlb/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes --requirement requirements.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY templates templates
COPY fastlb fastlb
# In the image the compiled hot path is demanded: without it the build fails. Nothing installs packages later on, so pip
# stays behind; so do time zones, which the system has, what rich highlights code and renders documents with, and
# symbols for debuggers.
RUN FASTLB_BUILD_EXTENSION=1 /opt/fastlb/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/fastlb/bin/pip uninstall --yes --disable-pip-version-check \
      markdown-it-py mdurl pip pygments setuptools tzdata \
    && find /opt/fastlb -name '*.so*' -type f -exec strip --strip-unneeded {} + \
    && find /opt/fastlb/lib \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete

FROM ${BASE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates haproxy python3 tini tzdata \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*.log /var/log/apt \
      /usr/lib/python3*/pydoc_data /usr/lib/python3*/test
COPY --from=build /opt/fastlb /opt/fastlb
# Engines give another user than root no capability by themselves, only leave to a program that has it: so the HAProxy
# that is found first may bind to ports below 1024 (cap_net_bind_service, number 10, permitted and effective). Where that
# is not allowed it does not start, and the distribution's is taken.
RUN cp /usr/sbin/haproxy /opt/fastlb/bin/ && python3 -c 'import os, struct; os.setxattr("/opt/fastlb/bin/haproxy", \
      "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))'
# The names that app definitions, scripts and heads written for marathon-lb's image know. Configuration, maps and
# templates lie in the same folder.
COPY image/ lua/fastlb.lua /marathon-lb/
RUN cd /marathon-lb && ln -s zdd.py bluegreen_deploy.py && mkdir templates \
    && for name in getpids getconfig getmaps signalmlb; do ln -s fastlb.lua $name.lua; done \
    && mkdir -p /run/haproxy && chmod 1777 /run/haproxy
ENV PATH=/opt/fastlb/bin:$PATH PYTHONUNBUFFERED=1 TINI_SUBREAPER=1 FASTLB_RUN_DIR=/var/run/haproxy
WORKDIR /marathon-lb
EXPOSE 80 443 9090 9091
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["/opt/fastlb/bin/python", "-m", "fastlb.entry", "health"]
ENTRYPOINT ["tini", "-g", "--", "/marathon-lb/run"]
CMD ["sse", "--health-check", "--group", "external"]
LABEL org.opencontainers.image.title="fastlb" \
      org.opencontainers.image.description="A drop-in replacement for marathon-lb" \
      org.opencontainers.image.licenses="Apache-2.0"
