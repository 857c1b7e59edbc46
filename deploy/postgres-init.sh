#!/bin/sh
# Runs once, when the volume of PostgreSQL is new: a user and a database for us, a user and two databases for Temporal.
# Neither user gets into what belongs to the other. Ours makes the users of API, worker and relay.
set -eu

create() {
  user=$1 password=$(cat "${SECRETS_DIR:-/run/secrets}/$2")
  shift 2
  psql --username "${POSTGRES_USER:-postgres}" --set ON_ERROR_STOP=1 --set "user=$user" --set "password=$password" <<'END'
create role :"user" login password :'password';
END
  for database in "$@"; do
    psql --username "${POSTGRES_USER:-postgres}" --set ON_ERROR_STOP=1 --set "user=$user" --set "database=$database" <<'END'
create database :"database" owner :"user";
revoke connect, temporary on database :"database" from public;
END
  done
}

create thermidora database-password thermidora
psql --username "${POSTGRES_USER:-postgres}" --set ON_ERROR_STOP=1 --command 'alter role thermidora createrole'
create temporal temporal-password temporal temporal_visibility
