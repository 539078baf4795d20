#!/bin/sh
# Where the bitnami/kafka image has its start script.
exec /opt/ottla/run "$@"
