# The whole front door in one image: HAProxy of the distribution, fastlb with the compiled hot path, tini.
#   docker build -t fastlb .                                     BASE=debian:bookworm-slim builds as well
#   docker run --network host fastlb sse --health-check --group external --haproxy-config /marathon-lb/haproxy.cfg
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates gcc libc6-dev python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY templates templates
COPY fastlb fastlb
# In the image the compiled hot path is demanded: without it the build fails. Nothing installs packages later on, so
# pip stays behind.
RUN python3 -m venv /opt/fastlb \
    && FASTLB_BUILD_EXTENSION=1 /opt/fastlb/bin/pip install --no-cache-dir --disable-pip-version-check . \
    && /opt/fastlb/bin/pip uninstall --yes --disable-pip-version-check pip setuptools

FROM ${BASE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates haproxy python3 tini \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*.log /var/log/apt
COPY --from=build /opt/fastlb /opt/fastlb
ENV PATH=/opt/fastlb/bin:$PATH PYTHONUNBUFFERED=1
# A HAPROXY_HEAD written for marathon-lb's image loads these four.
COPY lua/fastlb.lua /marathon-lb/fastlb.lua
RUN cd /marathon-lb && for name in getpids getconfig getmaps signalmlb; do ln -s fastlb.lua $name.lua; done
# Templates of your own go to /marathon-lb/templates, as in marathon-lb's image.
WORKDIR /marathon-lb
EXPOSE 80 443 9090 9091
ENTRYPOINT ["tini", "-g", "--", "fastlb"]
CMD ["sse", "--health-check", "--group", "external", "--haproxy-config", "/marathon-lb/haproxy.cfg"]
