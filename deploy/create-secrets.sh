#!/bin/sh
# Creates the secrets that compose.yaml reads, in the folder "secrets" beside it. Refuses to replace existing ones.
set -eu
cd "$(dirname "$0")"

if ! mkdir -m 0700 secrets 2>/dev/null; then
    echo "create-secrets.sh: $PWD/secrets exists; the databases in the volumes know its passwords" >&2
    exit 1
fi

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

password=$(random)
# The folder keeps other users out. The files can be read by the users of the containers, which are not this one.
umask 022
printf '%s\n' "$(random)" >secrets/cron_secret
printf '%s\n' "$password" >secrets/postgres_password
printf 'postgresql://opsconsole:%s@postgres:5432/ops\n' "$password" >secrets/database_url
