#!/bin/sh
# Brings the schema of Temporal's two databases, which must exist, to the version of the tool. Safe to repeat.
# SQL_HOST, SQL_PORT and SQL_USER say where; the password is in SQL_PASSWORD or in the file SQL_PASSWORD_FILE.
set -eu
[ -z "${SQL_PASSWORD_FILE:-}" ] || SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
SQL_PLUGIN=postgres12
export SQL_PASSWORD SQL_PLUGIN
tool=${SQL_TOOL:-temporal-sql-tool}

update() {
  "$tool" --quiet --db "$1" setup-schema --version 0.0
  "$tool" --quiet --db "$1" update-schema --schema-name "postgresql/v12/$2"
}

update "${TEMPORAL_DATABASE:-temporal}" temporal
update "${TEMPORAL_VISIBILITY_DATABASE:-temporal_visibility}" visibility
