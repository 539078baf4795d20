#!/bin/sh
# What the wurstmeister/kafka image runs.
exec /opt/ottla/run "$@"
