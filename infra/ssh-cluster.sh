#!/usr/bin/env bash
# A Ray of this machine and of others that ssh reaches. Each has this checkout at the same path, with its .venv.
#   infra/ssh-cluster.sh up <address of this machine> <host>...
#   export RAY_AUTH_MODE=token RAY_ADDRESS=<address of this machine>:6379; dvc repro
#   infra/ssh-cluster.sh down <host>...
# What Ray says on a machine is in .cache/ray-node.log there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
port=6379

starting() { # prints what starts a node with these arguments of `ray start`, for a bash to read
    # The token goes through ssh as input: in a command it would stand in the list of processes.
    printf 'cd %q\n' "$PWD"
    printf 'export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=%q RAY_USAGE_STATS_ENABLED=0\n' "$(<"$HOME/.ray/auth_token")"
    printf 'started=(%s)\n' "$*"
    cat <<'SCRIPT'
source .venv/bin/activate
mkdir -p .cache
nohup ray start --block "${started[@]}" </dev/null >.cache/ray-node.log 2>&1 &
echo $! >>".cache/ray-node-$(hostname).pid"
SCRIPT
}

ending() { # prints what ends the nodes that `starting` has started on a machine
    printf 'cd %q\n' "$PWD"
    cat <<'SCRIPT'
for pid in $(cat ".cache/ray-node-$(hostname).pid" 2>/dev/null); do
    if ps -p "$pid" -o args= | grep -q 'ray start'; then kill "$pid"; fi
done
rm -f ".cache/ray-node-$(hostname).pid"
SCRIPT
}

if [[ ${1:-} == up && $# -ge 3 ]]; then
    source .venv/bin/activate
    if [[ ! -e $HOME/.ray/auth_token ]]; then
        (umask 077 && mkdir -p "$HOME/.ray" && ray get-auth-token --generate >/dev/null 2>&1)
    fi
    starting --head --port "$port" --node-ip-address "$2" --dashboard-host 127.0.0.1 | bash
    RAY_AUTH_MODE=token python infra/wait_for_nodes.py "$2:$port" 1
    for host in "${@:3}"; do starting --address "$2:$port" | ssh "$host" bash; done
    RAY_AUTH_MODE=token python infra/wait_for_nodes.py "$2:$port" $(($# - 1))
    echo "$(($# - 1)) machines; now: export RAY_AUTH_MODE=token RAY_ADDRESS=$2:$port"
elif [[ ${1:-} == down ]]; then
    for host in "${@:2}"; do ending | ssh "$host" bash; done
    ending | bash
else
    sed -n '2,6s/^# //p' infra/ssh-cluster.sh >&2
    exit 2
fi
