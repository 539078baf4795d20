#!/bin/sh
# The bitnami/kafka image prepares its files here; there is nothing to prepare.
exec "$@"
