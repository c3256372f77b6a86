#!/bin/sh
exec /opt/fastlb/bin/python -m fastlb.entry reload_haproxy.sh
